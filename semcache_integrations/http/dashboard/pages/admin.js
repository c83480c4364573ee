// The dashboard: asks /admin/data every two seconds and shows what it says. What callers wrote becomes text nodes.

const POLL_MS = 2000;
const TYPING_MS = 200;
const NOTE_MS = 5000;
const RATE_OVER_S = 60;
const LEAST_SPAN_S = 120;
const TIERS = ["hash", "exact", "semantic", "flight"];

const byId = (id) => document.getElementById(id);
const say = (id, text) => { if (byId(id).textContent !== text) byId(id).textContent = text; };

// -- numbers as people read them ---------------------------------------------------------------------

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (number) => (number < 100000 ? whole : short).format(number);
const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

const percent = (share) => `${+(share * 100).toFixed(1)}\u00a0%`;
const roundly = (share) => `${Math.round(share * 100)}\u00a0%`;

function millis(ms) {
  if (ms === null) return "–";
  if (ms >= 1000) return `${+(ms / 1000).toFixed(ms < 10000 ? 2 : 1)}\u00a0s`;
  return `${+ms.toFixed(ms < 1 ? 2 : ms < 100 ? 1 : 0)}\u00a0ms`;
}

function bytes(number) {
  if (number === null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let index = 0, left = number;
  while (left >= 1000 && index < units.length - 1) { left /= 1024; index += 1; }
  return `${+left.toFixed(left < 10 && index ? 1 : 0)}\u00a0${units[index]}`;
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

// -- cards -------------------------------------------------------------------------------------------

function showCards(data) {
  const { statuses, tiers, saved, cache, memory } = data;
  say("uptime", duration(data.uptime_s));
  say("hit-rate", data.hit_rate === null ? "–" : percent(data.hit_rate));
  showShare(data);
  say("requests", count(data.requests));
  const others = [["bypass", "bypassed"], ["stale", "stale"], ["error", "errors"], ["other", "other"]];
  say("requests-detail", [plural(statuses.hit, "hit", "hits"), plural(statuses.miss, "miss", "misses"),
    ...others.filter(([name]) => statuses[name]).map(([name, word]) => `${count(statuses[name])} ${word}`)].join(", "));
  say("saved", count(saved.prompt_tokens + saved.answer_tokens));
  say("saved-detail", `${count(saved.prompt_tokens)} of prompts, ${count(saved.answer_tokens)} of answers`);
  showLatencies(data);
  say("entries", cache.stored === null ? "–" : count(cache.stored));
  say("entries-detail", `${count(cache.in_memory)} in memory, ${bytes(cache.in_memory_bytes)}`
    + (cache.evicted ? `, ${count(cache.evicted)} evicted` : ""));
  say("memory", bytes(memory.rss_bytes ?? memory.peak_bytes));
  say("memory-detail", memory.peak_bytes === null ? "of this process" : `at most ${bytes(memory.peak_bytes)}`);
}

function showShare({ tiers, statuses }) {
  const answered = TIERS.filter((tier) => tiers[tier]);
  const asked = statuses.hit + statuses.stale + statuses.miss;
  byId("share").replaceChildren(...answered.map((tier) => {
    const part = html("i", tier);
    part.style.width = `${(100 * tiers[tier]) / asked}%`;
    return part;
  }));
  byId("shares").replaceChildren(...answered.map((tier) => html("li", "", html("i", tier), `${tier} ${percent(tiers[tier] / asked)}`)));
}

// A request that waited for an equal one took as long as the upstream: it is no slow hit. What was refused took no time.
function showLatencies({ latency, statuses, tiers }) {
  const seen = { hit: 1, miss: 1, flight: tiers.flight, bypass: statuses.bypass, stale: statuses.stale };
  const rows = Object.keys(seen).filter((name) => seen[name]);
  byId("latency").replaceChildren(...rows.map((name) => {
    const head = html("th", "", name);
    head.scope = "row";
    return html("tr", "", head, html("td", "", millis(latency[name].p50_ms)), html("td", "", millis(latency[name].p95_ms)));
  }));
}

// -- charts ------------------------------------------------------------------------------------------

const rateChart = new LineChart(byId("rate-chart"), byId("rate-legend"), { name: "Hit rate by tier", scale: "share", format: roundly });
const timeChart = new LineChart(byId("time-chart"), byId("time-legend"), { name: "Latency", scale: "log", format: millis });

function showCharts(data) {
  const { series, now } = data;
  const span = Number(document.querySelector("input[name=span]:checked").value);
  const first = series.at.length ? series.at[0] : now;
  const from = Math.max(now - span, Math.min(first, now - LEAST_SPAN_S));
  const points = (values) => series.at.map((at, index) => ({ x: at, y: values[index] })).filter((point) => point.x >= from);
  const rates = ratesOf(series);
  const seen = TIERS.filter((tier) => tier !== "flight" || data.tiers.flight);
  rateChart.show([{ name: "all", kind: "all", points: points(rates.all) },
    ...seen.map((tier) => ({ name: tier, kind: tier, points: points(rates[tier]) }))], from, now, series.step_s);
  timeChart.show(["hit", "miss"].flatMap((kind) => [
    { name: `${kind} p50`, kind, points: points(series.latency[kind].p50_ms) },
    { name: `${kind} p95`, kind, thin: true, points: points(series.latency[kind].p95_ms) }]), from, now, series.step_s);
}

// The share of each tier in the minute that ends with each step; null where nothing could be answered.
function ratesOf({ at, counts }) {
  const rates = { all: [], ...Object.fromEntries(TIERS.map((tier) => [tier, []])) };
  let start = 0;
  at.forEach((end, index) => {
    while (at[start] <= end - RATE_OVER_S) start += 1;
    const sum = (name) => counts[name].slice(start, index + 1).reduce((left, right) => left + right, 0);
    const hits = TIERS.map(sum);
    const answered = hits.reduce((left, right) => left + right, 0), asked = answered + sum("miss");
    TIERS.forEach((tier, which) => rates[tier].push(asked ? hits[which] / asked : null));
    rates.all.push(asked ? answered / asked : null);
  });
  return rates;
}

// -- tables ------------------------------------------------------------------------------------------

// Make the rows of `body` those of `items`; a row stays the same element, so that it keeps its focus.
function showRows(body, items, key, make) {
  const focused = document.activeElement;
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const name = String(key(item)), written = JSON.stringify(item);
    let row = old.get(name);
    if (!row) { row = html("tr"); row.setAttribute("role", "row"); row.dataset.key = name; }
    if (row.written !== written) { fillRow(row, make(item)); row.written = written; }
    old.delete(name);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  for (const row of old.values()) row.remove();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus();
}

function fillRow(row, cells) {
  const kept = row.querySelector("button");
  row.replaceChildren(...cells.map(({ name, text = "", title = "", label = "", child = null, kind = "td" }) => {
    const cell = html(kind, name, child && kept && child.tagName === "BUTTON" ? reuse(kept, child) : child || text);
    cell.setAttribute("role", "cell");
    if (title) cell.title = title;
    if (label) cell.dataset.label = label;
    if (!child && !text) cell.replaceChildren();
    return cell;
  }));
}

function reuse(kept, made) {
  kept.setAttribute("aria-label", made.getAttribute("aria-label"));
  return kept;
}

function requestCells(one) {
  const where = `${one.method} ${one.host}${one.path}`;
  const cut = one.complete ? "" : ", cut short";
  return [
    { name: "time", text: clockTime(one.at) },
    one.question ? { name: "question", text: one.question, title: one.question } : { name: "question none", text: where, title: where },
    { name: "model", text: one.model, title: one.model },
    { name: "status", child: html("span", `badge ${one.status}`, one.status), title: `HTTP ${one.http_status}${cut}` },
    { name: "tier", text: one.tier },
    { name: "number similarity", text: one.similarity === null ? "" : one.similarity.toFixed(3), label: "≈" },
    { name: "reason", text: one.reason.replaceAll("_", " "), title: one.reason },
    { name: "number", text: millis(one.total_ms || null), title: `began after ${millis(one.head_ms)}` },
  ];
}

function entryCells(one) {
  const button = html("button", "danger", "Delete");
  button.type = "button";
  button.setAttribute("aria-label", `Delete the answer to: ${one.question}`);
  button.addEventListener("click", () => remove("entry_id", one.entry_id, one.question));
  return [
    { name: "number hits", text: count(one.hits), label: "hits" },
    { name: one.question ? "question" : "question none", text: one.question || one.entry_id, title: `${one.question}\n${one.entry_id}` },
    { name: "model", text: one.model, title: one.model },
    { name: "tenant", text: one.tenant, title: one.tenant },
    { name: "number tokens", text: count(one.tokens), label: "saved" },
    { name: "time", text: clockTime(one.last_at), label: "last" },
    { name: "act", child: button },
  ];
}

function showTables(requests, entries, searched) {
  showRows(byId("recent"), requests, (one) => one.number, requestCells);
  showRows(byId("top"), entries, (one) => one.entry_id, entryCells);
  say("top-title", searched ? "Entries found" : "Top entries");
  emptiness("recent-empty", requests.length, searched ? "No request matches." : "No requests yet: point an SDK’s base_url at this proxy.");
  emptiness("top-empty", entries.length, searched ? "No entry matches." : "No entry has answered yet.");
}

function emptiness(id, rows, words) {
  byId(id).hidden = rows > 0;
  say(id, words);
}

// -- asking ------------------------------------------------------------------------------------------

let paused = false, waiting = null, asked = 0;

async function ask(path, body) {
  const how = body ? { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {};
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...how });
  if (response.status === 403 && !body) location.assign("/admin");
  const said = await response.json();
  if (!response.ok) throw new Error(said.error.message);
  return said;
}

async function refresh() {
  const turn = asked += 1;
  clearTimeout(waiting);
  try {
    const text = byId("search").value.trim(), status = byId("status").value;
    const query = new URLSearchParams({ q: text, status });
    const [data, found] = await Promise.all([ask("/admin/data"), text || status ? ask(`/admin/search?${query}`) : null]);
    if (turn !== asked) return;
    show(data, found, text);
    live(paused ? "paused" : "live");
  } catch (error) {
    if (turn !== asked) return;
    live("lost", error.message);
  }
  if (!paused) waiting = setTimeout(refresh, POLL_MS);
}

function show(data, found, text) {
  showCards(data);
  showCharts(data);
  showTables(found ? found.requests : data.recent, text ? found.entries : data.top, Boolean(found));
  byId("logout").hidden = !data.token;
}

function live(state, why = "") {
  const words = { live: "live", paused: "paused", lost: "no answer, trying again" };
  byId("live").dataset.state = state;
  byId("live").title = why;
  say("live-text", words[state]);
}

// -- deleting ----------------------------------------------------------------------------------------

const NAMED = { model: "All entries of this model", tag: "All entries with this tag", tenant: "All entries of this tenant", entry_id: "This entry" };

function confirmed(name, quoted) {
  const box = byId("confirm");
  say("confirm-title", name === "entry_id" ? "Delete this entry?" : "Delete all of these entries?");
  say("confirm-text", `${NAMED[name]} will be deleted; such calls go upstream again.`);
  byId("confirm-quote").hidden = !quoted;
  say("confirm-quote", quoted);
  box.returnValue = "";
  box.showModal();
  return new Promise((resolve) => box.addEventListener("close", () => resolve(box.returnValue === "delete"), { once: true }));
}

async function remove(name, value, quoted) {
  if (!await confirmed(name, quoted)) return false;
  try {
    const { deleted } = await ask("/admin/delete", { [name]: value });
    note(deleted ? `${plural(deleted, "entry", "entries")} deleted` : "There was nothing to delete");
  } catch (error) {
    note(error.message);
    return false;
  }
  refresh();
  return true;
}

let noted = null;
function note(words) {
  say("note", words);
  byId("note").hidden = false;
  clearTimeout(noted);
  noted = setTimeout(() => { byId("note").hidden = true; }, NOTE_MS);
}

// -- what people press -------------------------------------------------------------------------------

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  if (paused) { clearTimeout(waiting); live("paused"); } else refresh();
});

let typing = null;
byId("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(refresh, TYPING_MS); });
byId("status").addEventListener("change", refresh);
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
for (const choice of document.querySelectorAll("input[name=span]")) choice.addEventListener("change", refresh);

const HINTS = { model: "gpt-4o-mini", tag: "docs-v2", tenant: "team-a", entry_id: "0f8e…" };
byId("purge-by").addEventListener("change", () => { byId("purge-what").placeholder = HINTS[byId("purge-by").value]; });
byId("purge").addEventListener("submit", async (event) => {
  event.preventDefault();
  const what = byId("purge-what").value.trim();
  if (what && await remove(byId("purge-by").value, what, what)) byId("purge-what").value = "";
});

byId("logout").addEventListener("click", async () => { location.assign((await ask("/admin/logout", {})).at); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(waiting); else if (!paused) refresh();
});
refresh();
