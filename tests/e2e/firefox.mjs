/**
 * A Firefox that does what it is told: node firefox.mjs PUPPETEER PLAN, then a line of JSON in for each line out.
 *
 * PUPPETEER is the folder of puppeteer-core, PLAN what it is started with, as JSON. A line in is [name, ...given]
 * for one of the deeds below; a line out is {value} or {error}.
 */
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, plan] = process.argv.slice(2);
const { default: puppeteer } = await import(pathToFileURL(path.join(folder, 'lib/puppeteer/puppeteer-core.js')));
const { program, preferences, patience } = JSON.parse(plan);

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: program,
  headless: true,
  extraPrefsFirefox: preferences,
  defaultViewport: { width: 1280, height: 800 },
  protocolTimeout: patience,
});
const page = await browser.newPage();
page.setDefaultTimeout(patience);
const asked = [];
const faults = [];
page.on('request', (request) => asked.push(request.url()));
page.on('pageerror', (error) => faults.push(String(error)));
page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
page.on('dialog', (dialog) => dialog.accept());

/** Puppeteer's own way to wait makes functions from texts, which the page's policy forbids. */
async function wait(code) {
  const end = Date.now() + patience;
  while (!(await page.evaluate(code))) {
    if (Date.now() > end) throw new Error(`this did not become true: ${code}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const deeds = {
  version: () => browser.version(),
  goto: async (url) => void (await page.goto(url)),
  reload: async () => void (await page.reload()),
  evaluate: (code) => page.evaluate(code),
  wait,
  upload: async (selector, file) => (await page.$(selector)).uploadFile(file),
  click: async (selector) => {
    await wait(`document.querySelector(${JSON.stringify(selector)})?.disabled === false`);
    await page.click(selector);
  },
  clickAt: (x, y) => page.mouse.click(x, y),
  drag: async ([first, ...rest], steps) => {
    await page.mouse.move(...first);
    await page.mouse.down();
    for (const place of rest) await page.mouse.move(...place, { steps });
    await page.mouse.up();
  },
  press: async (keys) => {
    const [last, ...held] = keys.split('+').reverse();
    for (const key of held) await page.keyboard.down(key);
    await page.keyboard.press(last);
    for (const key of held) await page.keyboard.up(key);
  },
  screenshot: async (file) => void (await page.screenshot({ path: file })),
  heard: () => ({ asked, faults }),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await deeds[name](...given)) ?? null };
  } catch (error) {
    answer = { error: `${name}: ${error.stack}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
