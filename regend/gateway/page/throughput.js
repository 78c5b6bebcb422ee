// A plot of the work per second, from the totals of one status after the other.

import { html, useEffect, useRef } from "./vendor/preact-htm.js";

const HEIGHT = 180;
const SHOWN_S = 60; // The least time that the plot shows.
let loading = null;

function loaded() {
  loading ||= new Promise((done, failed) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "/static/vendor/uplot.css";
    const script = document.createElement("script");
    script.src = "/static/vendor/uplot.js";
    script.onload = () => done(window.uPlot);
    script.onerror = failed;
    document.head.append(style, script);
  });
  return loading;
}

function rates(samples) {
  const columns = [[], [], []];
  for (let at = 1; at < samples.length; at += 1) {
    const [before, now] = [samples[at - 1], samples[at]];
    const took_s = Math.max(0.001, now.at_s - before.at_s);
    columns[0].push(now.at_s);
    columns[1].push(Math.max(0, now.chunks - before.chunks) / took_s);
    columns[2].push(Math.max(0, now.requests - before.requests) / took_s);
  }
  return columns;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Throughput({ samples }) {
  const place = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    let ended = false;
    const observer = new ResizeObserver(() => plot.current && plot.current.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    observer.observe(place.current);
    loaded().then((uPlot) => {
      if (ended) return;
      const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
      plot.current = new uPlot({
        width: place.current.clientWidth,
        height: HEIGHT,
        scales: { x: { range: (_, low, high) => (high == null ? [0, SHOWN_S] : [Math.min(low, high - SHOWN_S), high]) }, y: { range: (_, low, high) => [0, Math.max(1, high)] } },
        axes: [axis, axis],
        series: [
          {},
          { label: "chunks embedded a second", stroke: colour("--accent"), width: 2 },
          { label: "requests a second", stroke: colour("--other"), width: 2, dash: [6, 4] },
        ],
      }, rates(samples), place.current);
    });
    return () => {
      ended = true;
      observer.disconnect();
      if (plot.current) plot.current.destroy();
    };
  }, []);
  useEffect(() => {
    if (plot.current) plot.current.setData(rates(samples));
  }, [samples]);
  const [, chunks, requests] = rates(samples);
  const last = (column) => (column.length ? column[column.length - 1].toFixed(1) : "0.0");
  return html`<p>Now ${last(chunks)} chunks embedded and ${last(requests)} requests a second.</p>
    <div class="plot" ref=${place} aria-hidden="true"></div>`;
}
