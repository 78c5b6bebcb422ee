// Drives the page in Chromium and prints what happened as JSON: node page.mjs WHAT LINK FOLDER_OF_PACKAGES PICTURES CHROMIUM
// WHAT is `views`, or `speed` for the times from keys to results.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [what, link, packages, pictures, program] = process.argv.slice(2);
const need = createRequire(pathToFileURL(`${packages}/node_modules/`));
const { chromium } = need("playwright-core");
const axe = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const QUERY = "where are retries limited";
const report = { console: [], elsewhere: [], axe: [], wide: [], facts: {}, latencies_ms: [] };
const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });

async function opened(width, height, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("console", (message) => report.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => report.console.push(`error: ${error.message}`));
  const origin = new URL(link).origin;
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) report.elsewhere.push(request.url());
  });
  await page.goto(link);
  await page.waitForSelector("#box");
  return page;
}

/** Look for violations, and for content that is wider than the window. */
async function checked(page, view) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document));
  for (const violation of found.violations) {
    report.axe.push(`${view}: ${violation.id}: ${violation.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
  }
  const [content, window_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (content > window_) report.wide.push(`${view}: ${content} in ${window_}`);
}

/** Type a query as one change; return the milliseconds until its results are painted, and those of the daemon's search. */
async function latency(page, query) {
  return page.evaluate(async (text) => {
    const box = document.getElementById("box");
    const answered = new Promise((done) => {
      const told = (event) => {
        if (event.detail !== text) return;
        removeEventListener("answered", told);
        done();
      };
      addEventListener("answered", told);
    });
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, text);
    const began = performance.now();
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
    await answered;
    await new Promise((done) => requestAnimationFrame(done));
    const painted = new MessageChannel(); // Its message comes after the frame.
    await new Promise((done) => {
      painted.port1.onmessage = done;
      painted.port2.postMessage(null);
    });
    const end = performance.now();
    return [end - began, Number(/([\d.]+) ms/.exec(document.querySelector(".said").textContent)[1])];
  }, query);
}

async function walk(width, height, scheme) {
  const name = `${scheme} ${width}`;
  const page = await opened(width, height, scheme);
  report.facts.address = page.url();
  await checked(page, `${name}, empty`);
  await page.keyboard.type(QUERY);
  await page.waitForSelector("a.place");
  await page.waitForFunction(() => document.querySelectorAll("mark").length > 0);
  await checked(page, `${name}, results`);
  if (width > 1000) await page.screenshot({ path: `${pictures}/page-${scheme}.png` });

  const place = () => page.evaluate(() => document.activeElement.dataset.place || document.activeElement.id);
  await page.keyboard.press("Escape");
  const first = await place();
  await page.keyboard.press("j");
  const second = await place();
  await page.keyboard.press("k");
  report.facts.keys = [first, second, await place()];
  await page.keyboard.press("y");
  await page.waitForSelector(".copied.shown");
  report.facts.copied = await page.evaluate(() => navigator.clipboard.readText());
  await page.waitForSelector(".copied:not(.shown)", { state: "attached" });
  await page.keyboard.press("Enter");
  await page.waitForSelector(".opened");
  report.facts.permalink = page.url();
  for (const part of ["Why", "Related", "Outline", "Code"]) {
    await page.click(`#tab-${part}`);
    await page.waitForSelector({ Why: ".why meter", Related: ".related .code", Outline: ".outline li", Code: "#part > .code" }[part]);
    await checked(page, `${name}, ${part}`);
    if (part === "Why" && width > 1000) await page.screenshot({ path: `${pictures}/page-why-${scheme}.png` });
  }
  await page.reload();
  await page.waitForSelector(".opened");
  report.facts.reloaded = await page.textContent("#opened");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".opened", { state: "detached" });
  await page.goBack();
  await page.waitForSelector(".opened");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".opened", { state: "detached" });

  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await checked(page, `${name}, keys`);
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog[open]", { state: "detached" });
  await page.keyboard.press("/");
  report.facts.slash = await place();
  await page.click(".chip >> nth=0");
  await page.waitForSelector('.chip[aria-pressed="true"]');
  report.facts.filtered = await page.inputValue("#box");
  await page.click('.chip[aria-pressed="true"]');
  await page.waitForSelector('.chip[aria-pressed="true"]', { state: "detached" });
  report.facts.unfiltered = await page.inputValue("#box");
  await page.fill("#box", "lang:nosuchlanguage x");
  await page.waitForSelector(".said .trouble");
  report.facts.trouble = await page.textContent(".said");
  await page.fill("#box", "");

  await page.click("nav >> text=Status");
  await page.waitForSelector(".status .plot canvas");
  await page.waitForFunction(() => !document.querySelector(".plot p, .status > p").textContent.includes("Now 0.0 chunks embedded and 0.0"));
  if (width > 1000) await page.screenshot({ path: `${pictures}/page-status-${scheme}.png` });
  await page.click("summary");
  await page.waitForSelector(".skipped li");
  await page.click(".skipped button >> nth=0");
  await page.waitForSelector(".skipped li > span:nth-child(2):not(.kind)");
  report.facts.skipped = await page.textContent(".skipped li");
  await page.fill("#asked", "build.log");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".asked b");
  report.facts.asked = await page.textContent(".asked p");
  await checked(page, `${name}, status`);
  await page.context().close();
}

async function views() {
  for (const [width, height, scheme] of [[1280, 800, "light"], [1280, 800, "dark"], [360, 740, "light"]]) {
    await walk(width, height, scheme);
  }
  const refused = await browser.newPage();
  await refused.goto(new URL(link).origin);
  await refused.waitForSelector(".refused");
  report.facts.refused = await refused.textContent(".refused p");
}

async function speed() {
  const page = await opened(1280, 800, "light");
  const words = ["batch", "ticket", "debounce quiet", "embed", "retry", "snapshot reader", "glob", "token", "worker", "lease"];
  for (let round = 0; round < 5; round += 1) {
    const times = [];
    for (const word of words) times.push(await latency(page, round ? `${word} ${words[round]}` : word));
    report.latencies_ms.push(times);
  }
}

await (what === "speed" ? speed() : views());
await browser.close();
console.log(JSON.stringify(report));
