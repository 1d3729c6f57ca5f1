// Makes times local, takes over what has changed on a page, and checks conditions while they are typed. Everything works
// without it, a little less well.
"use strict";

const root = document.documentElement;

// Light or dark, before anything is drawn.
const theme = localStorage.getItem("theme");
if (theme) root.dataset.theme = theme;

const formats = {
  time: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
  date: new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
  whole: new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" }),
};

function span(milliseconds) {
  const all = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

// How far the daemon's clock is ahead of this one.
let ahead = 0;
const setClock = (body) => { if (body.dataset.now) ahead = new Date(body.dataset.now) - Date.now(); };

function showTime(element) {
  const at = new Date(element.dateTime);
  const show = element.dataset.show;
  const text = show === "since" ? span(Date.now() + ahead - at) : formats[show].format(at);
  if (element.textContent !== text) element.textContent = text;
  if (!element.title) element.title = formats.whole.format(at);
}

const showTimes = (within, which) => within.querySelectorAll(which).forEach(showTime);

// Makes `old` like `fresh` with as little change as can be, so that focus, selection and what is unfolded stay.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const unfolded = old.nodeName === "DETAILS" && old.open;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (unfolded) old.open = true;
  if (old.nodeName === "TIME" && old.dataset.show) {
    old.removeAttribute("title");
    showTime(old);
    return;
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map([...old.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = child.dataset?.key && keyed.get(child.dataset.key);
    if (same) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, child);
    } else if (at && !at.dataset?.key && !child.dataset?.key) {
      const next = at.nextSibling;
      morph(at, child);
      at = next;
    } else {
      old.insertBefore(child, at);
      if (child.nodeType === Node.ELEMENT_NODE) showTimes(child, "time[data-show]");
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// One request at a time; what changes meanwhile is taken with the next. What takes the daemon long is asked for less often,
// so that a page that is open all day keeps it busy for a tenth of the time at most.
let loading = false;
let wanted = false;
async function refresh() {
  wanted = true;
  if (loading || document.hidden) return;
  loading = true;
  try {
    while (wanted) {
      wanted = false;
      const began = performance.now();
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") return location.reload();
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      setClock(fresh.body);
      for (const region of document.querySelectorAll("[data-region]")) {
        const match = fresh.querySelector(`[data-region="${region.dataset.region}"]`);
        if (match && !region.contains(document.activeElement?.closest("input, select, textarea"))) morph(region, match);
      }
      await new Promise((done) => setTimeout(done, 9 * (performance.now() - began)));
    }
  } catch {
    // The stream tells when the daemon is back.
  } finally {
    loading = false;
  }
}

function follow() {
  const link = document.querySelector("[data-link]");
  const say = (state) => {
    link.textContent = state;
    link.classList.toggle("lost", state !== "live");
  };
  let stream;
  const open = () => {
    stream = new EventSource("/stream");
    stream.addEventListener("open", () => { say("live"); refresh(); });
    stream.addEventListener("changed", refresh);
    // The daemon ends each after a while, so that none is kept for nobody.
    stream.addEventListener("over", () => { stream.close(); open(); });
    stream.addEventListener("error", () => say("not connected"));
  };
  // A browser has six connections to a host: a page that nobody sees keeps none of them.
  const follow = () => {
    stream?.close();
    if (!document.hidden) open();
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
}

function checkConditions(field) {
  const said = document.getElementById("condition-said");
  const event = field.form.elements.event;
  let timer;
  const check = async () => {
    const body = new URLSearchParams({ csrf: field.form.elements.csrf.value, when: field.value, event: event.value });
    const answer = await fetch(field.dataset.check, { method: "POST", body }).catch(() => null);
    if (!answer?.ok) return;
    const verdict = await answer.json();
    said.textContent = verdict.said;
    said.classList.toggle("bad", !verdict.good);
    field.setAttribute("aria-invalid", String(!verdict.good));
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(check, 250); };
  const fields = () => document.querySelectorAll("[data-events]").forEach((row) => {
    row.hidden = !row.dataset.events.split(" ").includes(event.value);
  });
  field.addEventListener("input", soon);
  event.addEventListener("change", () => { fields(); soon(); });
  fields();
  if (field.value) check();
}

addEventListener("DOMContentLoaded", () => {
  setClock(document.body);
  showTimes(document, "time[data-show]");
  setInterval(() => showTimes(document, 'time[data-show="since"]'), 1000);
  if (document.body.hasAttribute("data-live")) follow();
  document.querySelectorAll("[data-check]").forEach(checkConditions);
  document.querySelector("[data-theme-switch]").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
});
