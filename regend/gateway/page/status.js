// What is indexed, what is not and why, and the work in progress.

import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { bytes, number, read, short } from "./ask.js";
import { Skipped } from "./skipped.js";
import { Throughput } from "./throughput.js";

const POLL_MS = 2000;

export function Status({ onAway }) {
  const [status, setStatus] = useState(null);
  const [trouble, setTrouble] = useState("");
  const samples = useRef([]);
  useEffect(() => {
    let timer = 0;
    let ended = false;
    const look = async () => {
      try {
        if (!document.hidden) {
          const found = await read("/api/status");
          if (ended) return;
          samples.current = [...samples.current, sample(found)].slice(-600);
          setStatus(found);
          setTrouble("");
        }
      } catch (error) {
        setTrouble(error.message);
        onAway(error);
      }
      if (!ended) timer = setTimeout(look, POLL_MS);
    };
    look();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, []);
  if (!status) return html`<p role="status" class=${trouble ? "trouble" : ""}>${trouble || "The status is being asked for."}</p>`;
  const state = status.paused ? "paused" : status.complete ? "complete" : "indexing";
  return html`<div class="status">
    ${trouble ? html`<p role="status" class="trouble">${trouble}</p>` : null}
    <h2>regend ${status.version}</h2>
    <dl class="facts">
      <dt>state</dt><dd>${state}, generation ${number(status.generation)}</dd>
      <dt>up</dt><dd>${duration(status.uptime_s)}, process ${status.pid}</dd>
      <dt>model</dt><dd>${status.model.id}, ${status.model.dim} numbers</dd>
      <dt>memory</dt><dd>${bytes(status.memory.rss_bytes)} daemon, ${bytes(status.memory.workers_rss_bytes || 0)} workers</dd>
      ${status.held_back.map((reason) => html`<dt class="trouble">held back</dt><dd>${reason}</dd>`)}
    </dl>
    <h2>Roots</h2>
    ${status.roots.length ? html`<${Roots} roots=${status.roots} />` : html`<p>Nothing is indexed yet; add a repository:
      ${" "}<code>regenctl add DIR</code></p>`}
    <h2>Throughput</h2>
    <${Throughput} samples=${samples.current} />
    <${Queues} queues=${status.queues} />
    <${Stages} stages=${status.stages} />
    <${Workers} workers=${status.workers} />
    <${Skipped} roots=${status.roots} />
  </div>`;
}

function sample(status) {
  return {
    at_s: Date.now() / 1000,
    chunks: status.counters.embedded_chunks || 0,
    requests: status.counters.requests || 0,
  };
}

function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  if (at < 0) return "0 s";
  const [size, unit] = parts[at];
  const rest = parts[at + 1];
  const left = rest ? Math.floor((seconds % size) / rest[0]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${left ? ` ${left} ${rest[1]}` : ""}`;
}

function Table({ caption, heads, rows }) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${caption}><table>
    <caption class="hidden">${caption}</caption>
    <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody>${rows.map(([first, ...cells]) => html`<tr key=${first}><th scope="row">${first}</th>
      ${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

function Roots({ roots }) {
  const heads = ["root", "state", "files", "chunks", "waiting", "changes"];
  const rows = roots.map((root) => [
    short(root.path),
    root.reason ? html`<span class="trouble">${root.state}</span>: ${root.reason}` : root.state,
    number(root.files_indexed), number(root.chunks), number(root.pending), root.watching,
  ]);
  return html`<${Table} caption="Roots" heads=${heads} rows=${rows} />`;
}

function Queues({ queues }) {
  const depths = Object.entries(queues);
  const most = Math.max(...depths.map(([, depth]) => depth), 1);
  return html`<h2>Queues</h2><${Table} caption="Queues" heads=${["queue", "waiting", "share"]}
    rows=${depths.map(([name, depth]) => [name.replaceAll("_", " "), number(depth),
      html`<meter min="0" max=${most} value=${depth} aria-label=${`share of ${name}`}></meter>`])} />`;
}

function Stages({ stages }) {
  const rows = Object.entries(stages).map(([name, figures]) => [
    name.replaceAll("_", " "), number(figures.count), ...["p50_ms", "p95_ms", "max_ms"].map((key) => figures[key].toFixed(2)),
  ]);
  return html`<h2>Stages</h2><${Table} caption="Times of the stages in milliseconds"
    heads=${["stage", "count", "median ms", "95 % ms", "longest ms"]} rows=${rows} />`;
}

function Workers({ workers }) {
  return html`<h2>Workers</h2><${Table} caption="Workers" heads=${["process", "state", "memory", "files"]}
    rows=${workers.map((worker) => [worker.pid, worker.state, bytes(worker.rss_bytes), number(worker.items)])} />`;
}
