// The box and its results. The view's state is the address: `q` is the query, `at` the open result.

import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { askForCode, editorLink, fileOf, lastPart, lineOf, link, placeOf, read, short } from "./ask.js";
import { Code, Copied, copy } from "./code.js";
import { filtersIn, offered, toggled } from "./filters.js";
import { Opened } from "./opened.js";

const AT_ONCE = 2; // Questions in flight; a further text waits for the first answer.
const PATIENCE_MS = 150; // An older question that takes longer is then given up.
const PAGE = 10;

function addressed() {
  const params = new URLSearchParams(location.search);
  return { query: params.get("q") || "", at: params.get("at") || "" };
}

function moved(step) {
  const places = [...document.querySelectorAll("a.place")];
  const now = places.indexOf(document.activeElement);
  const next = places[now < 0 ? (step > 0 ? 0 : places.length - 1) : now + step];
  if (next) next.focus();
  else if (step < 0) document.getElementById("box").focus();
}

function focusedResult(results) {
  const place = document.activeElement && document.activeElement.dataset.place;
  return results.find((found) => placeOf(found) === place);
}

export function Search({ onAway }) {
  const [query, setQuery] = useState(addressed().query);
  const [at, setAt] = useState(addressed().at);
  const [answer, setAnswer] = useState(null);
  const [trouble, setTrouble] = useState("");
  const [roots, setRoots] = useState(0);
  const [copied, setCopied] = useState("");
  const asking = useRef([]);
  const wanted = useRef("");

  useEffect(() => {
    read("/api/list").then((found) => setRoots(found.roots.length), onAway);
    const back = () => {
      setQuery(addressed().query);
      setAt(addressed().at);
    };
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);

  // Each key asks at once. An answer counts unless a later question was answered before.
  const look = (text) => {
    wanted.current = text;
    if (!text.trim()) {
      for (const other of asking.current) other.abort.abort();
      setAnswer(null);
      setTrouble("");
      return;
    }
    const last = asking.current.at(-1);
    if (last && last.text === text) return;
    if (asking.current.length >= AT_ONCE) {
      const [slow] = asking.current;
      setTimeout(() => slow.abort.abort(), PATIENCE_MS);
      return;
    }
    const own = { text, abort: new AbortController() };
    asking.current.push(own);
    const show = (found) => {
      if (!asking.current.includes(own)) return;
      const place = asking.current.indexOf(own);
      for (const older of asking.current.splice(0, place)) older.abort.abort();
      if (!wanted.current.trim()) return;
      setAnswer(found);
      setTrouble(found.trouble || "");
      dispatchEvent(new CustomEvent("answered", { detail: text }));
    };
    askForCode("/page/search", { query: text, k: PAGE }, show, own.abort.signal)
      .catch((error) => {
        if (error.name === "AbortError") return;
        setTrouble(error.message);
        onAway(error);
      })
      .finally(() => {
        asking.current = asking.current.filter((other) => other !== own);
        const newest = asking.current.at(-1) || own;
        if (wanted.current !== newest.text) look(wanted.current);
      });
  };
  useEffect(() => {
    if (wanted.current !== query) look(query);
  }, [query]);

  const change = (text) => {
    look(text);
    setQuery(text);
    setAt("");
    history.replaceState(null, "", link(text));
  };
  const open = (found) => {
    setAt(placeOf(found));
    history.pushState(null, "", link(query, placeOf(found)));
  };
  const close = () => {
    const place = at;
    setAt("");
    history.pushState(null, "", link(query));
    const back = [...document.querySelectorAll("a.place")].find((found) => found.dataset.place === place);
    if (back) back.focus();
  };
  const copyPlace = (found) => copy(placeOf(found), setCopied);
  const more = () =>
    askForCode("/page/search", { query, k: PAGE, offset: answer.next_offset }, (found) =>
      setAnswer({ ...found, results: [...answer.results, ...found.results] }),
    ).catch((error) => setTrouble(error.message));
  const results = (query.trim() && answer && answer.results) || [];

  useEffect(() => {
    const pressed = (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.key === "Escape") {
        if (at) close();
        else if (typing) moved(1);
        else document.getElementById("box").focus();
      } else if (event.key === "ArrowDown" && event.target.id === "box") moved(1);
      else if (event.key === "Enter" && event.target.id === "box" && results.length) open(results[0]);
      else if (typing) return;
      else if (event.key === "/") {
        document.getElementById("box").focus();
        document.getElementById("box").select();
      } else if (event.key === "j") moved(1);
      else if (event.key === "k") moved(-1);
      else if (event.key === "y" && focusedResult(results)) copyPlace(focusedResult(results));
      else if (event.key === "o" && focusedResult(results)) {
        const found = focusedResult(results);
        const href = editorLink(fileOf(found), lineOf(found));
        if (href) location.href = href;
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  const shown = at && results.find((found) => placeOf(found) === at);
  return html`
    <div class="searchbar">
      <label class="hidden" for="box">Search the code</label>
      <input id="box" type="search" value=${query} autofocus autocomplete="off" autocapitalize="off" spellcheck=${false}
        placeholder="words, a name, or a question" onInput=${(event) => change(event.target.value)} />
    </div>
    <${Chips} query=${query} results=${results} roots=${roots} change=${change} />
    <p class="said" role="status">${said(query, answer, trouble, at && !shown)}</p>
    <div class=${shown ? "columns open" : "columns"}>
      <div>
        <ol class="results" aria-label="Results">
          ${results.map((found) => html`<${Result} key=${placeOf(found)} found=${found} query=${query} open=${open}
            copyPlace=${copyPlace} isOpen=${placeOf(found) === at} />`)}
        </ol>
        ${results.length && answer.next_offset
          ? html`<button type="button" class="more" onClick=${more}>More results</button>` : null}
        ${query.trim() ? null : html`<${Hints} />`}
      </div>
      ${shown ? html`<${Opened} key=${at} found=${shown} query=${query} place=${results.indexOf(shown)}
        close=${close} />` : null}
    </div>
    <${Copied} text=${copied} />`;
}

function said(query, answer, trouble, lost) {
  if (trouble) return html`<span class="trouble">${trouble}</span>`;
  if (!answer || !query.trim()) return "";
  const count = answer.results.length;
  const parts = [count ? `${count}${answer.next_offset ? " or more" : ""} results` : "Nothing was found"];
  parts.push(`${answer.took_ms.toFixed(1)} ms`);
  if (!answer.complete) parts.push("the index is not complete yet");
  return [parts.join(", "), ...answer.notes, ...(lost ? ["The linked result is not among these"] : [])].join(". ");
}

function Chips({ query, results, roots, change }) {
  const used = filtersIn(query);
  const more = offered(results, roots, lastPart).filter(([filter]) => !used.includes(filter));
  if (!used.length && !more.length) return html`<div class="chips"></div>`;
  return html`<div class="chips" role="group" aria-label="Filters">
    ${used.map((filter) => html`<button type="button" class="chip" aria-pressed="true" key=${filter}
      onClick=${() => change(toggled(query, filter))}>${filter} <span aria-hidden="true">×</span></button>`)}
    ${more.map(([filter, count]) => html`<button type="button" class="chip" aria-pressed="false" key=${filter}
      onClick=${() => change(toggled(query, filter))}>${filter} <small>${count}</small></button>`)}
  </div>`;
}

function Result({ found, query, open, copyPlace, isOpen }) {
  const href = editorLink(fileOf(found), lineOf(found));
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(found);
  };
  const cut = found.path.lastIndexOf("/") + 1;
  return html`<li class=${isOpen ? "result current" : "result"}>
    <h2>
      <a class="place" href=${link(query, placeOf(found))} data-place=${placeOf(found)} onClick=${follow}
        aria-current=${isOpen ? "true" : null} title=${short(fileOf(found))}>
        <span class="folder">${found.path.slice(0, cut)}</span>${found.path.slice(cut)}<span class="lines">:${lineOf(found)}</span>
      </a>
      <span class="about">${[found.symbol, found.kind, lastPart(found.root)].filter(Boolean).join(" · ")}</span>
      <span class="acts">
        <button type="button" onClick=${() => copyPlace(found)}
          aria-label=${`copy ${found.path}:${lineOf(found)}`}>copy</button>
        ${href ? html`<a href=${href} aria-label=${`edit ${found.path}`}>edit</a>` : null}
      </span>
    </h2>
    <${Code} runs=${found.runs} first=${found.snippet_line} best=${found.line} label=${found.path} />
    ${found.copy_count ? html`<p class="copies">The same text is in ${found.copy_count} other places, such as
      ${" "}${found.copies[0].path}:${found.copies[0].start_line}.</p>` : null}
  </li>`;
}

function Hints() {
  return html`<div class="hints">
    <p>Ask in words (<q>where are retries limited</q>), by name (<code>parse_header</code>), or with filters:
      ${" "}<code>lang:python</code>, <code>kind:function</code>, <code>path:src/**</code>, <code>-word</code>,
      ${" "}<code>"exact text"</code>. Press <kbd>?</kbd> for the keys.</p>
  </div>`;
}
