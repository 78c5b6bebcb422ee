// Files that are not searchable, with the reason, and the rule that says so.

import { html, useState } from "./vendor/preact-htm.js";
import { ask, number, short } from "./ask.js";

const PAGE = 100;

export function Skipped({ roots }) {
  const some = roots.filter((root) => root.files_skipped);
  return html`<h2>Skipped files</h2>
    ${some.length ? some.map((root) => html`<${OfRoot} key=${root.path} root=${root} />`) : html`<p>No file is skipped.</p>`}
    <${Asked} root=${roots.length ? roots[0].path : ""} />`;
}

/** Ask about any file: ignored files are in no list. */
function Asked({ root }) {
  const [why, setWhy] = useState(null);
  const look = (event) => {
    event.preventDefault();
    const file = new FormData(event.target).get("file").trim();
    if (file) ask("/api/why", { root, file }).then(setWhy, (error) => setWhy({ state: "", reason: error.message, rule: null }));
  };
  return html`<form class="asked" onSubmit=${look}>
    <label for="asked">Is a file indexed, and if not, why?</label>
    <input id="asked" name="file" placeholder="path, absolute or in the first root" autocomplete="off" spellcheck=${false} />
    <button>Ask</button>
    <p role="status">${why ? html`<b>${why.state}</b> <${Reason} why=${why} />` : null}</p>
  </form>`;
}

function Reason({ why }) {
  const rule = why.rule && !why.reason.includes(why.rule.pattern);
  return html`<span>${why.reason}${rule ? html` Rule <code>${why.rule.pattern}</code> in
    ${" "}${short(why.rule.source)}${why.rule.line ? `:${why.rule.line}` : ""}.` : null}</span>`;
}

function OfRoot({ root }) {
  const [files, setFiles] = useState(null);
  const [next, setNext] = useState("");
  const [trouble, setTrouble] = useState("");
  const more = (after) =>
    ask("/api/files", { root: root.path, state: "skipped", limit: PAGE, after }).then(
      (page) => {
        setFiles((before) => [...(after ? before : []), ...page.files]);
        setNext(page.next);
      },
      (error) => setTrouble(error.message),
    );
  const reasons = Object.entries(root.skipped_by_reason).sort(([, one], [, other]) => other - one);
  return html`<details onToggle=${(event) => event.target.open && !files && more("")}>
    <summary>${short(root.path)}: ${reasons.map(([reason, count]) => `${number(count)} ${reason}`).join(", ")}</summary>
    ${trouble ? html`<p class="trouble">${trouble}</p>` : null}
    ${files ? html`<ul class="skipped">${files.map((file) => html`<${File} key=${file.path} root=${root.path} file=${file} />`)}</ul>` : null}
    ${next ? html`<button type="button" onClick=${() => more(next)}>More files</button>` : null}
  </details>`;
}

function File({ root, file }) {
  const [why, setWhy] = useState(null);
  const look = () => ask("/api/why", { root, file: file.path }).then(setWhy, (error) => setWhy({ reason: error.message, rule: null }));
  return html`<li>
    <span class="path">${file.path}</span> ${why ? null : html`<span class="kind">${file.reason}</span>`}
    ${" "}${why
      ? html`<${Reason} why=${why} />`
      : html`<button type="button" onClick=${look} aria-label=${`Why is ${file.path} skipped?`}>why?</button>`}
  </li>`;
}
