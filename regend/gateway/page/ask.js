// Questions to the gateway, and small facts that every view needs.

export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function answerOf(response) {
  const body = await response.json();
  if (!response.ok) throw new Refusal(body.error.code, body.error.message);
  return body;
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("away", "The gateway does not answer; is the daemon running?");
  }
}

/** Ask by POST; `signal` ends the question when a newer one is asked. */
export async function ask(path, params = {}, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  return answerOf(await fetched(path, { method: "POST", headers, body: JSON.stringify(params), signal }));
}

/**
 * Ask for code by POST, and give the answer to `show` twice: as soon as it is there, and with its colours. Each result
 * has `runs`, lines of `[class, text]` or `[class, text, 1]` if the query names the text.
 */
export async function askForCode(path, params, show, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetched(path, { method: "POST", headers, body: JSON.stringify(params), signal });
  if (!response.ok) return answerOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let answer = null;
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (left + (value || "")).split("\n");
    left = lines.pop();
    for (const line of lines) {
      const told = JSON.parse(line);
      const runsOf = answer ? (found, place) => told.runs[place] || found.runs : (found) => marked(found.snippet, told.words);
      answer = { ...(answer || told), results: (answer || told).results.map((found, place) => ({ ...found, runs: runsOf(found, place) })) };
      show(answer);
    }
    if (done) return answer;
  }
}

/** Return the runs of a text without colours, as the gateway marks them. */
function marked(text, words) {
  const parts = words.filter((word) => word.length > 1).sort((one, other) => other.length - one.length);
  const mark = parts.length ? new RegExp(`(${parts.map((word) => word.replace(/[^\w\s]/g, "\\$&")).join("|")})`, "i") : /(?!)/;
  return text.split("\n").map((line) =>
    line.split(mark).map((part, place) => (place % 2 ? ["", part, 1] : ["", part])).filter(([, part]) => part),
  );
}

export async function read(path) {
  return answerOf(await fetched(path));
}

export const facts = { version: "", editor_link: "", home: "" };

export function short(path) {
  return facts.home && path.startsWith(facts.home + "/") ? "~" + path.slice(facts.home.length) : path;
}

export function lastPart(path) {
  return path.replace(/\/+$/, "").split("/").pop() || path;
}

export function fileOf(found) {
  return `${found.root.replace(/\/$/, "")}/${found.path}`;
}

export function lineOf(found) {
  return found.line || found.start_line;
}

export function placeOf(found) {
  return `${fileOf(found)}:${lineOf(found)}`;
}

/** Return the permanent link of a query, or of one of its results. */
export function link(query, at = "") {
  const params = new URLSearchParams();
  if (query) params.set("q", query);
  if (at) params.set("at", at);
  return `/?${params}`;
}

/** Return the link that opens a place in the user's editor; empty if none is configured. */
export function editorLink(file, line) {
  const escaped = file.split("/").map(encodeURIComponent).join("/");
  return facts.editor_link.replaceAll("{path}", escaped).replaceAll("{line}", String(line));
}

export function number(value) {
  return Math.round(value).toLocaleString("en");
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${value < 10 && at ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}
