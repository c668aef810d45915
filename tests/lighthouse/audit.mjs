// Audits pages with Lighthouse, one after the other in one Chromium: its desktop preset, whose throttling is simulated.
//
//   echo '{"chromium": "/usr/bin/chromium", "pages": {"home": "http://localhost:9090/"}}' | node audit.mjs
//
// Prints for each page its scores (0 to 100, by category), what cost points (by audit), and why it could not be audited.

import process from "node:process";
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const CATEGORIES = ["performance", "accessibility", "best-practices"];
// What is not judged takes no time: pictures of the page, and a visit to another page and back. An error's page is a page too.
const FLAGS = {
  logLevel: "error",
  onlyCategories: CATEGORIES,
  disableFullPageScreenshot: true,
  skipAudits: ["bf-cache", "screenshot-thumbnails", "final-screenshot"],
  ignoreStatusCode: true,
};
// Our pages load from this machine in milliseconds: how long nothing must happen before they count as loaded.
const QUIET = { pauseAfterFcpMs: 300, pauseAfterLoadMs: 300, networkQuietThresholdMs: 500, cpuQuietThresholdMs: 500 };
const CONFIG = { ...desktopConfig, settings: { ...desktopConfig.settings, ...QUIET } };
// A busy machine now and then loses the beginning of the recording, which says nothing about the page.
const TRIES = 3;

async function audited(url, port) {
  for (let tried = 1; ; tried++) {
    const { lhr } = await lighthouse(url, { ...FLAGS, port }, CONFIG);
    if (!lhr.runtimeError || tried === TRIES) return summary(lhr);
  }
}

function summary(lhr) {
  const scores = {}, faults = {};
  for (const [name, category] of Object.entries(lhr.categories)) {
    scores[name] = Math.round(100 * category.score);
    for (const { id, weight } of category.auditRefs) {
      const { score, title, details } = lhr.audits[id];
      if (weight && score !== null && score < 0.9) faults[id] = `${title}: ${JSON.stringify(details?.items ?? null).slice(0, 400)}`;
    }
  }
  return { scores, faults, error: lhr.runtimeError?.message ?? null };
}

let asked = "";
for await (const chunk of process.stdin) asked += chunk;
const { chromium, pages } = JSON.parse(asked);
const browser = await launch({
  chromePath: chromium,
  chromeFlags: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  logLevel: "silent",
});
try {
  const found = {};
  for (const [name, url] of Object.entries(pages)) found[name] = await audited(url, browser.port);
  process.stdout.write(JSON.stringify(found));
} finally {
  browser.kill();
}
