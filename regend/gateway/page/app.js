// The frame around the views: the views' links, the live state of the index, and the help.

import { html, render, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { facts, read, Refusal } from "./ask.js";
import { Search } from "./search.js";
import { Status } from "./status.js";

const KEYS = [
  ["/", "go to the box"],
  ["j, k", "next, previous result"],
  ["Enter", "open the result; in the box, the first"],
  ["Esc", "close it; from the box, go to the results"],
  ["y", "copy path:line of the result"],
  ["o", "open the result in the editor"],
  ["s", "show the status, or the search again"],
  ["?", "show these keys"],
];

function viewOf() {
  return new URLSearchParams(location.search).has("status") ? "status" : "search";
}

function App() {
  const [view, setView] = useState(viewOf());
  const [refused, setRefused] = useState("");
  const [live, setLive] = useState({ state: "connected", pending: 0 });
  const help = useRef(null);

  const show = (name) => {
    history.pushState(null, "", name === "status" ? "/?status" : "/");
    setView(name);
  };
  const away = (error) => {
    if (error instanceof Refusal && error.code === "unauthorized") setRefused(error.message);
  };

  useEffect(() => {
    const back = () => setView(viewOf());
    addEventListener("popstate", back);
    read("/page/facts").then((found) => {
      Object.assign(facts, found);
      setLive((before) => ({ ...before }));
    }, away);
    return () => removeEventListener("popstate", back);
  }, []);

  useEffect(() => {
    const pressed = (event) => {
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") help.current.showModal();
      else if (event.key === "s" && !help.current.open) show(view === "status" ? "search" : "status");
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [view]);

  useEffect(() => {
    if (refused) return undefined;
    const pending = new Map();
    const source = new EventSource("/api/events?topics=progress&topics=state");
    const tell = (state) => setLive({ state, pending: [...pending.values()].reduce((sum, count) => sum + count, 0) });
    source.addEventListener("progress", (event) => {
      const told = JSON.parse(event.data);
      pending.set(told.root, told.pending);
      tell("connected");
    });
    source.addEventListener("state", (event) => {
      const told = JSON.parse(event.data);
      if (!told.root) tell(told.state === "connected" ? "connected" : "away");
    });
    source.onerror = () => tell("away");
    return () => source.close();
  }, [refused]);

  if (refused) {
    return html`<main class="refused"><h1>regend</h1><p>${refused}</p></main>`;
  }
  const state = live.state === "away" ? "no daemon" : live.pending ? `${live.pending} paths wait` : "up to date";
  const to = (name) => (event) => {
    event.preventDefault();
    show(name);
  };
  return html`
    <header class="top">
      <h1>regend</h1>
      <nav aria-label="Views">
        <a href="/" aria-current=${view === "search" ? "page" : null} onClick=${to("search")}>Search</a>
        <a href="/?status" aria-current=${view === "status" ? "page" : null} onClick=${to("status")}>Status</a>
      </nav>
      <span class=${live.state === "away" ? "live away" : live.pending ? "live busy" : "live"} role="status">${state}</span>
      <button type="button" class="help" onClick=${() => help.current.showModal()} aria-label="Keys">?</button>
    </header>
    <main>${view === "status" ? html`<${Status} onAway=${away} />` : html`<${Search} onAway=${away} />`}</main>
    <dialog ref=${help} aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <dl>${KEYS.map(([key, meaning]) => html`<dt><kbd>${key}</kbd></dt><dd>${meaning}</dd>`)}</dl>
      <form method="dialog"><button>Close</button></form>
    </dialog>`;
}

render(html`<${App} />`, document.getElementById("app"));
