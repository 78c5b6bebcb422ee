// Code as runs of coloured text, and the clipboard.

import { html, useEffect, useRef } from "./vendor/preact-htm.js";

/** Show lines of runs, each `[class, text]` or `[class, text, 1]` if the query names the text. */
export function Code({ runs, first, best, label }) {
  const width = String(first + runs.length).length;
  return html`<pre class="code" tabindex="0" role="group" aria-label=${`Code of ${label}`}><code>${runs.map(
    (line, number) => html`<span class=${first + number === best ? "row best" : "row"}><span class="number"
      aria-hidden="true">${String(first + number).padStart(width)}</span>${line.map(([name, text, marked]) =>
      marked ? html`<mark class=${name}>${text}</mark>` : name ? html`<span class=${name}>${text}</span>` : text,
    )}${"\n"}</span>`,
  )}</code></pre>`;
}

export async function copy(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say({ text: `Copied ${text}` });
  } catch {
    say({ text: `The browser does not let the page copy: ${text}` });
  }
}

/** Say for a moment what was copied. */
export function Copied({ text }) {
  const place = useRef(null);
  useEffect(() => {
    if (!text) return undefined;
    place.current.classList.add("shown");
    const timer = setTimeout(() => place.current && place.current.classList.remove("shown"), 2500);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<p class="copied" role="status" ref=${place}>${text ? text.text : ""}</p>`;
}
