// One result, opened: its code, why it was found, what is like it, and the outline of its file.

import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { ask, askForCode, fileOf, lastPart, lineOf, link, placeOf, short } from "./ask.js";
import { Code } from "./code.js";

const PARTS = ["Code", "Why", "Related", "Outline"];
const LINES = 200;

export function Opened({ found, query, place, close }) {
  const [part, setPart] = useState("Code");
  const [whole, setWhole] = useState(null);
  const heading = useRef(null);
  useEffect(() => {
    heading.current.focus();
    const offset = 10 * Math.floor(place / 10);
    const lines = Math.min(LINES, found.end_line - found.start_line + 1);
    const show = (answer) => setWhole(answer.results.find((other) => placeOf(other) === placeOf(found)) || null);
    askForCode("/page/search", { query, k: 10, offset, explain: true, lines }, show).catch(() => setWhole(null));
  }, []);
  const shown = whole || found;
  const arrows = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = PARTS[(PARTS.indexOf(part) + step + PARTS.length) % PARTS.length];
    setPart(next);
    document.getElementById(`tab-${next}`).focus();
  };
  return html`<section class="opened" aria-labelledby="opened">
    <header>
      <h2 id="opened" tabindex="-1" ref=${heading}>${found.path}:${lineOf(found)}</h2>
      <button type="button" onClick=${close} aria-label="Close">×</button>
      <p>${[found.symbol, found.kind, found.language, short(found.root)].filter(Boolean).join(" · ")}</p>
      <div role="tablist" aria-label="About this result" onKeyDown=${arrows}>
        ${PARTS.map((name) => html`<button type="button" role="tab" id=${`tab-${name}`} aria-selected=${String(name === part)}
          aria-controls="part" tabindex=${name === part ? 0 : -1} onClick=${() => setPart(name)}>${name}</button>`)}
      </div>
    </header>
    <div id="part" role="tabpanel" aria-labelledby=${`tab-${part}`}>
      ${part === "Code" ? html`<${Code} runs=${shown.runs} first=${shown.snippet_line} best=${shown.line} label=${found.path} />` : null}
      ${part === "Why" ? html`<${Why} explain=${shown.explain} score=${shown.score} />` : null}
      ${part === "Related" ? html`<${Related} found=${found} />` : null}
      ${part === "Outline" ? html`<${Outline} found=${found} />` : null}
    </div>
  </section>`;
}

/** Show what each feature added to the score, as bars. */
function Why({ explain, score }) {
  if (!explain) return html`<p>The explanation is being asked for.</p>`;
  const features = Object.entries(explain)
    .filter(([, feature]) => Math.abs(feature.contribution) > 0.0005)
    .sort(([, one], [, other]) => Math.abs(other.contribution) - Math.abs(one.contribution));
  const most = Math.max(...features.map(([, feature]) => Math.abs(feature.contribution)), 1e-9);
  return html`<table class="why">
    <caption>What each feature added to the score of ${score.toFixed(3)}</caption>
    <thead><tr><th scope="col">feature</th><th scope="col">value</th><th scope="col">added</th><td></td></tr></thead>
    <tbody>${features.map(([name, feature]) => html`<tr key=${name}>
      <th scope="row">${name.replaceAll("_", " ")}</th>
      <td>${feature.value.toPrecision(3)}</td>
      <td>${feature.contribution.toFixed(3)}</td>
      <td class="bar"><meter min="0" max="1" value=${Math.abs(feature.contribution) / most}
        class=${feature.contribution < 0 ? "less" : ""} aria-label=${`share of ${name}`}></meter></td>
    </tr>`)}</tbody>
  </table>`;
}

function Related({ found }) {
  const [answer, setAnswer] = useState(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    askForCode("/page/related", { file: fileOf(found), line: lineOf(found), k: 8 }, setAnswer).catch((error) =>
      setTrouble(error.message),
    );
  }, []);
  if (trouble) return html`<p class="trouble">${trouble}</p>`;
  if (!answer) return html`<p>Code like this is being looked for.</p>`;
  if (!answer.results.length) return html`<p>Nothing is like this.</p>`;
  return html`<ul class="related">${answer.results.map((other) => html`<li key=${placeOf(other)}>
    <h3><a href=${link(other.symbol || lastPart(other.path), placeOf(other))}>${other.path}:${lineOf(other)}</a>
      ${" "}<span class="about">${other.symbol}</span></h3>
    <${Code} runs=${other.runs} first=${other.snippet_line} best=${0} label=${other.path} />
  </li>`)}</ul>`;
}

function Outline({ found }) {
  const [answer, setAnswer] = useState(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    ask("/api/outline", { file: fileOf(found) }).then(setAnswer, (error) => setTrouble(error.message));
  }, []);
  if (trouble) return html`<p class="trouble">${trouble}</p>`;
  if (!answer) return html`<p>The outline is being asked for.</p>`;
  if (!answer.symbols.length) return html`<p>The file has no definitions.</p>`;
  const depth = (symbol) => Math.min(6, symbol.qualified.split(".").length - 1);
  return html`<ul class="outline">${answer.symbols.map((symbol) => {
    const here = symbol.start_line <= lineOf(found) && lineOf(found) <= symbol.end_line;
    return html`<li class=${`depth${depth(symbol)}`} aria-current=${here ? "location" : null}>
      <span class="lines">${symbol.start_line}</span> <span class="kind">${symbol.kind}</span> ${symbol.name}</li>`;
  })}</ul>`;
}
