// Drives the extension in a real editor: node code_server.mjs '{"link", "packages", "chromium", "root", "control", "host"}'
// prints what happened as JSON. `control` is a program: `control stop` and `control start` change the daemon.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const given = JSON.parse(process.argv[2]);
const need = createRequire(pathToFileURL(`${given.packages}/node_modules/`));
const { chromium } = need("playwright-core");
const report = { errors: [], facts: {}, unsaved_ms: [], saved_ms: [], written_ms: [], memory_kb: [] };
const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(60000);
const shot = (name) => page.screenshot({ path: `${given.pictures}/${name}.png` });
page.on("pageerror", (error) => report.errors.push(error.message));
const rows = page.locator(".quick-input-list .monaco-list-row");
const said = (text) => page.waitForFunction((words) => document.querySelector(".statusbar").textContent.includes(words), text);

const box = () => page.locator(".quick-input-box input");
const closed = () => page.locator(".quick-input-widget").waitFor({ state: "hidden" });

/** Run a command by its name in the palette. */
async function command(name) {
  await closed();
  for (let there = false; !there; ) {
    await page.keyboard.press("F1");
    there = await box().waitFor({ timeout: 3000 }).then(() => true, () => false);
  }
  await box().fill(`>${name}`);
  await rows.filter({ hasText: name }).first().waitFor();
  await page.keyboard.press("Enter");
}

/** Open the search as one types. */
async function searching() {
  await command("Regend: Search Code as You Type");
  await page.locator(".quick-input-title", { hasText: "Search code" }).waitFor();
}

/** Type a query as one change, and return the milliseconds until a result with `word` is shown. */
async function asked(query, word, again = false) {
  return page.evaluate(
    async ([text, wanted, repeat]) => {
      const input = [...document.querySelectorAll(".quick-input-box input")].find((found) => found.offsetParent);
      const change = (value) => {
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, value);
        input.dispatchEvent(new InputEvent("input", { bubbles: true }));
      };
      const shown = () =>
        [...document.querySelectorAll(".quick-input-list .monaco-list-row")].some((row) => row.textContent.includes(wanted));
      const began = performance.now();
      change(text);
      for (let last = began, spaces = ""; !shown(); ) {
        await new Promise((done) => requestAnimationFrame(done));
        const now = performance.now();
        if (now - began > 20000) {
          const told = [...document.querySelectorAll(".quick-input-list .monaco-list-row")].map((row) => row.textContent);
          throw new Error(`${wanted} is not found: ${input.value}: ${told.slice(0, 3).join(" / ")}`);
        }
        if (repeat && now - last > 60) {
          last = now;
          spaces = spaces ? "" : " ";
          change(text + spaces);
        }
      }
      return performance.now() - began;
    },
    [query, word, again],
  );
}

/** Resident memory of the process in which the extension runs. */
function memory() {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=extensionHost")) continue;
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`REGEND_SOCKET=${given.socket}\0`)) continue;
      return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]);
    } catch {
      continue; // It is gone.
    }
  }
  throw new Error("there is no process of extensions");
}

async function drive() {
  await page.goto(given.link);
  await page.locator(".monaco-workbench").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".statusbar-item")].some((item) => item.textContent.trim() === "regend" && item.querySelector(".codicon-search")));
  report.facts.status = await page.evaluate(() => [...document.querySelectorAll(".statusbar-item")].find((item) => item.textContent.trim() === "regend").id);
  const bar = page.locator(`.statusbar-item[id="${report.facts.status}"]`);

  await searching();
  await page.keyboard.type("JobQueue", { delay: 20 });
  await rows.filter({ hasText: "src/jobs/queue.py:" }).first().waitFor();
  await page.waitForFunction(() => !document.querySelector(".quick-input-progress.active"));
  report.facts.first = await rows.first().textContent();
  await shot("vscode-pick");
  await page.keyboard.press("Enter");
  await page.locator(".tab", { hasText: "queue.py" }).waitFor();
  await said("Ln 4,");
  report.facts.opened = await page.locator(".tab.active").textContent();

  await command("Regend: Search Code and List Results");
  await page.locator(".quick-input-title", { hasText: "Search code" }).waitFor();
  await page.keyboard.type("tried again with backoff");
  await page.keyboard.press("Enter");
  const tree = page.locator(".panel .monaco-list-row");
  await tree.filter({ hasText: "retry.py" }).first().waitFor();
  await page.locator(".panel .monaco-list-row .highlight").first().waitFor();
  report.facts.listed = await tree.allTextContents();
  report.facts.highlighted = await page.locator(".panel .monaco-list-row .highlight").allTextContents();
  await shot("vscode-results");

  for (const animal of ["quokka", "wallaby", "bilby", "dunnart", "potoroo", "wombat", "numbat", "quoll", "dingo", "emu"]) {
    await page.locator(".editor-instance .view-lines").first().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Enter");
    await page.keyboard.type(`typed_${animal} = 1`);
    await searching();
    report.unsaved_ms.push(await asked(`"typed_${animal}"`, `typed_${animal} = 1`));
    await page.keyboard.press("Escape");
    await closed();
    report.facts.dirty = await page.locator(".tab.dirty").allTextContents();
    await page.locator(".editor-instance .view-lines").first().click();
    await page.keyboard.press("Control+S");
    await page.waitForFunction(() => !document.querySelector(".tab.dirty"));
    await searching();
    report.saved_ms.push(await asked(`"typed_${animal}"`, `typed_${animal} = 1`));
    await page.keyboard.press("Escape");
    await closed();
  }

  await searching();
  for (let number = 0; number < 10; number += 1) {
    const word = `kept_bandicoot_${number}`;
    writeFileSync(`${given.root}/src/kept_by_code.py`, `def ${word}(): pass\n`);
    report.written_ms.push(await asked(`"${word}"`, `def ${word}`, true));
    await page.waitForTimeout(200); // People do not save ten times a second.
  }

  const names = ["JobQueue", "tried", "backoff", "queue", "worker"];
  async function rounds(count) {
    for (let number = 0; number < count; number += 1) {
      const word = `${names[number % names.length]} ${number}`;
      await page.evaluate(async (text) => {
        const input = [...document.querySelectorAll(".quick-input-box input")].find((found) => found.offsetParent);
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
        input.dispatchEvent(new InputEvent("input", { bubbles: true }));
        const busy = () => document.querySelector(".quick-input-progress.active");
        const began = performance.now();
        const frame = () => new Promise((done) => setTimeout(done, 10));
        while (!busy() && performance.now() - began < 40) await frame();
        while (busy() && performance.now() - began < 20000) await frame();
      }, word);
    }
    return memory();
  }
  report.memory_kb.push(await rounds(300), await rounds(given.questions));
  await page.keyboard.press("Escape");

  execFileSync(given.control, ["stop"]);
  await said("Regend: the daemon has stopped");
  await page.locator(`.statusbar-item[id="${report.facts.status}"] .codicon-circle-slash`).waitFor();
  await searching();
  await page.keyboard.type("JobQueue");
  await rows.filter({ hasText: "No daemon answers" }).first().waitFor();
  report.facts.lost = await rows.first().textContent();
  await page.keyboard.press("Escape");
  execFileSync(given.control, ["start"]);
  await said("Regend: connected to the daemon again.");
  await page.locator(`.statusbar-item[id="${report.facts.status}"] .codicon-search`).waitFor();
  report.facts.again = await bar.textContent();
  await searching();
  await page.keyboard.type("JobQueue");
  await rows.filter({ hasText: "src/jobs/queue.py:" }).first().waitFor();
}

try {
  await drive();
  console.log(JSON.stringify(report));
} catch (error) {
  await shot("failure");
  throw error;
} finally {
  await browser.close();
}
