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
