"use strict";
const $ = (id) => document.getElementById(id);
// Positions are seconds, or frames where a video has no times; spans are half-open.
let set, current = 0, film = null, at = 0, start = null, playing = null, saving = Promise.resolve();
let wanted = null, fetching = null, held = null, drag = null;

const limit = (to) => Math.min(Math.max(to, 0), film.length);
const under = () => film.spans.findIndex((s) => s.start <= at + 1e-6 && at < s.end);

function say(text, wrong) {
  $("state").textContent = text;
  $("state").className = wrong ? "wrong" : "";
}

function time(position) {
  if (film.unit === "frames") return String(Math.round(position));
  const tenths = Math.round(position * 100), seconds = Math.floor(tenths / 100);
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${two(tenths % 100)}`;
  return hours ? `${hours}:${rest}` : rest;
}

// One picture is asked for at a time, and then the latest that is wanted.
function look(query) {
  wanted = { video: current, query };
  fetching ??= (async () => {
    try {
      while (wanted) {
        const { video, query } = wanted;
        wanted = null;
        const answer = await fetch(`/videos/${video}/picture?${query}`);
        if (!answer.ok) { say(await answer.text(), true); continue; }
        const blob = await answer.blob();
        if (video !== current) continue;
        const url = URL.createObjectURL(blob), old = $("picture").src;
        $("picture").src = url;
        if (old.startsWith("blob:")) URL.revokeObjectURL(old);
        const position = Number(answer.headers.get("x-at"));
        // Where a person drags, the cursor stays with the hand.
        if (!drag) at = position;
        // A header's length may be an estimate.
        const known = position + film.step;
        film.length = answer.headers.get("x-last") ? known : Math.max(film.length, known);
        show();
      }
    } catch (error) {
      say(`no picture: ${error.message}; is msn data label still running?`, true);
    } finally {
      fetching = null;
    }
  })();
  return fetching;
}

function show() {
  $("place").textContent = film.unit === "frames"
    ? `frame ${Math.round(at)} of ${Math.round(film.length)}` : `${time(at)} of ${time(film.length)}`;
  const bar = $("timeline");
  bar.setAttribute("aria-valuemax", film.length);
  bar.setAttribute("aria-valuenow", at);
  bar.setAttribute("aria-valuetext", time(at));
  const chosen = under();
  const share = (position) => 100 * position / film.length + "%";
  bar.querySelectorAll(".span, .open, .edge").forEach((e) => e !== drag?.element && e.remove());
  const mark = (from, to, name) => {
    const e = document.createElement("div");
    e.className = name;
    e.style.left = share(from);
    e.style.width = share(to - from);
    bar.prepend(e);
    return e;
  };
  film.spans.forEach((s, i) => {
    mark(s.start, s.end, i === chosen ? "span chosen" : "span").title = s.kind;
    for (const side of ["start", "end"]) {
      if (drag && drag.span === i && drag.side === side) { drag.element.style.left = share(s[side]); continue; }
      const e = document.createElement("div");
      e.className = "edge";
      e.dataset.span = i;
      e.dataset.side = side;
      e.title = "drag to move";
      e.style.left = share(s[side]);
      bar.append(e);
    }
  });
  if (start !== null) mark(Math.min(start, at), Math.max(start, at) + film.step, "open");
  bar.append($("cursor"));
  $("cursor").style.left = share(Math.min(at + film.step / 2, film.length));
  const line = $("curve").querySelector(".cursor");
  if (line) { line.setAttribute("x1", at); line.setAttribute("x2", at); }
  $("play").textContent = playing ? "stop" : "play";
  document.querySelector("[data-key=s]").classList.toggle("on", start !== null);
  document.body.dataset.at = at;
  if (!drag) table(chosen);
}

function table(chosen) {
  const body = $("spans").tBodies[0];
  $("spans").hidden = film.spans.length === 0;
  // A row in which a kind is being typed stays.
  if (body.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
  body.replaceChildren(...film.spans.map((s, i) => {
    const row = document.createElement("tr");
    row.className = i === chosen ? "chosen" : "";
    row.insertCell().textContent = time(s.start);
    row.insertCell().textContent = time(s.end);
    const kind = document.createElement("input");
    kind.value = s.kind;
    kind.setAttribute("aria-label", "kind");
    kind.onchange = () => change(film.spans.map((x, j) => j === i ? { ...x, kind: kind.value } : x));
    kind.onkeydown = (e) => { if (e.key === "Enter" || e.key === "Escape") kind.blur(); e.stopPropagation(); };
    row.insertCell().append(kind);
    const go = document.createElement("button");
    go.type = "button";
    go.textContent = "go there";
    go.onclick = () => { go.blur(); stop(); seek(s.start + film.step / 2); };
    row.insertCell().append(go);
    return row;
  }));
}

function curve() {
  const svg = $("curve"), c = film.curve;
  const none = !c || c.points.length < 2;
  svg.toggleAttribute("hidden", none);
  $("jump").hidden = none;
  svg.replaceChildren();
  if (none) return;
  const scores = c.points.map((p) => p[1]), low = Math.min(...scores), high = Math.max(...scores);
  svg.setAttribute("viewBox", `0 0 ${film.length} 100`);
  const add = (name, of) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(of)) e.setAttribute(key, value);
    svg.append(e);
  };
  for (const x of c.peaks) add("line", { class: "peak", x1: x, x2: x, y1: 0, y2: 100 });
  const y = (score) => 95 - 90 * (score - low) / (high - low || 1);
  add("polyline", { points: c.points.map((p) => `${p[0]},${y(p[1]).toFixed(1)}`).join(" ") });
  add("line", { class: "cursor", x1: at, x2: at, y1: 0, y2: 100 });
}

function seek(to) {
  at = limit(to);
  show();
  return look(`at=${at}`);
}

function step(by) {
  stop();
  if (by === 1) return look(`after=${at}`);
  if (by === -1) return look(`before=${at}`);
  return seek(at + by * film.step + (film.unit === "seconds" ? film.step * .01 : 0));
}

function peak(by) {
  stop();
  const peaks = film.curve?.peaks ?? [], apart = film.step * 1.5;
  const to = by > 0 ? peaks.find((p) => p > at + apart) : peaks.findLast((p) => p < at - apart);
  if (to === undefined) { say(by > 0 ? "no later peak" : "no earlier peak"); return; }
  say("");
  seek(to);
}

async function choose(to) {
  stop();
  if (held) { say("first choose which spans count", true); $("video").value = current; return; }
  current = (to + set.videos.length) % set.videos.length;
  $("video").value = current;
  const video = current;
  const answer = await fetch(`/videos/${video}`);
  if (video !== current) return;
  if (!answer.ok) { say(await answer.text(), true); return; }
  film = await answer.json();
  film.index = video;
  film.undo = [];
  [at, start, held] = [0, null, null];
  $("conflict").hidden = true;
  say("");
  curve();
  await seek(0);
}

function stop() {
  playing = null;
  if (film) show();
}

async function play() {
  const run = playing = {};
  const began = performance.now(), from = at;
  show();
  while (playing === run) {
    const to = from + (performance.now() - began) / 1000 * (film.unit === "seconds" ? 1 : film.rate_hz);
    const before = at;
    await seek(to);
    if (to >= film.length || (at === before && to > film.length - film.step)) { stop(); return; }
    await new Promise((done) => setTimeout(done, 10));
  }
}

// What is saved is what was there when it was changed; saves go one after the other.
function change(spans, keep = true) {
  const f = film;
  if (keep) f.undo.push(f.spans);
  f.spans = spans.toSorted((a, b) => a.start - b.start || a.end - b.end);
  show();
  save(f);
}

function save(f) {
  say("saving");
  saving = saving.then(async () => {
    if (held) return;
    await fetching;
    for (const s of f.spans) s.end = Math.min(s.end, f.length);
    try {
      const answer = await fetch(`/videos/${f.index}/spans`, {
        method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ version: f.version, spans: f.spans }),
      });
      if (answer.status === 409) {
        held = { film: f, theirs: await answer.json() };
        $("conflict").hidden = false;
        say("not saved", true);
        return;
      }
      if (!answer.ok) throw new Error(await answer.text());
      f.version = (await answer.json()).version;
      say("saved in " + set.file);
    } catch (error) {
      say(`${set.videos[f.index]} is not saved: ${error.message}; the next change tries again`, true);
    }
  });
}

$("theirs").onclick = () => {
  const { film: f, theirs } = held;
  f.undo.push(f.spans);
  [f.spans, f.version, held] = [theirs.spans, theirs.version, null];
  $("conflict").hidden = true;
  say("these are the spans of the file");
  show();
};
$("mine").onclick = () => {
  const { film: f, theirs } = held;
  f.undo.push(theirs.spans);
  [f.version, held] = [theirs.version, null];
  $("conflict").hidden = true;
  save(f);
};

const keys = {
  " ": () => playing ? stop() : play(),
  Before: () => step(-1),
  After: () => step(1),
  ArrowLeft: (e) => step(e.shiftKey ? -10 : -1),
  ArrowRight: (e) => step(e.shiftKey ? 10 : 1),
  Home: () => { stop(); seek(0); },
  End: () => { stop(); seek(film.length); },
  s: () => { stop(); start = at; show(); say("the span starts at " + time(at)); },
  e: () => {
    stop();
    if (start === null) { say("press start at the first frame of the span before", true); return; }
    const half = film.unit === "seconds" ? film.step / 2 : 0;
    const from = Math.max(Math.min(start, at) - half, 0), to = Math.max(start, at) + (half || 1);
    // Spans that touch become one.
    const apart = film.spans.filter((s) => s.end < from || to < s.start);
    const joined = film.spans.filter((s) => !apart.includes(s));
    start = null;
    change([...apart, {
      start: Math.min(from, ...joined.map((s) => s.start)),
      end: Math.max(to, ...joined.map((s) => s.end)),
      kind: joined.map((s) => s.kind).find((k) => k) ?? "",
    }]);
  },
  Escape: () => { start = null; show(); say(""); },
  Delete: () => {
    const i = under();
    if (i < 0) { say("there is no span here", true); return; }
    change(film.spans.filter((_, j) => j !== i));
  },
  k: () => { const i = under(); if (i >= 0) $("spans").tBodies[0].rows[i].querySelector("input").focus(); },
  u: () => { const before = film.undo.pop(); if (before) change(before, false); },
  "[": () => peak(-1),
  "]": () => peak(1),
  n: () => choose(current + 1),
  p: () => choose(current - 1),
};
keys.Backspace = keys.Delete;

document.addEventListener("keydown", (e) => {
  if (!film || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select")) return;
  // The keyboard's own use of a button comes first.
  if (e.key === " " && e.target.closest("button")) return;
  const act = keys[e.key];
  if (act) { e.preventDefault(); act(e); }
});
document.querySelectorAll("[data-key]").forEach((button) => {
  button.onclick = (e) => { if (film) keys[button.dataset.key](e); };
});

const point = (e, element) => {
  const box = element.getBoundingClientRect();
  return limit((e.clientX - box.left) / box.width * film.length);
};
$("timeline").onpointerdown = (e) => {
  if (!film) return;
  stop();
  $("timeline").setPointerCapture(e.pointerId);
  const edge = e.target.closest(".edge");
  if (edge) {
    drag = { element: edge, span: Number(edge.dataset.span), side: edge.dataset.side, before: film.spans };
  } else {
    seek(point(e, $("timeline")));
  }
};
$("timeline").onpointermove = (e) => {
  if (!e.buttons || !film) return;
  const to = point(e, $("timeline"));
  if (!drag) { seek(to); return; }
  const s = drag.before[drag.span];
  const moved = drag.side === "start"
    ? { ...s, start: Math.max(Math.min(to, s.end - film.step), 0) }
    : { ...s, end: Math.min(Math.max(to, s.start + film.step), film.length) };
  if (film.unit === "frames") moved[drag.side] = Math.round(moved[drag.side]);
  film.spans = drag.before.map((x, i) => i === drag.span ? moved : x);
  // The frame at the edge: the last one of the span at its end.
  at = drag.side === "start" ? moved.start : Math.max(moved.end - film.step / 2, 0);
  show();
  look(`at=${at}`);
};
const drop = () => {
  if (!drag) return;
  const { before, element } = drag, spans = film.spans;
  drag = null;
  element.remove();
  film.spans = before;
  if (spans === before) { show(); return; }
  change(spans);
};
$("timeline").onpointerup = drop;
$("timeline").onpointercancel = drop;
const onCurve = (e) => { if (film && (e.type === "pointerdown" || e.buttons)) { stop(); seek(point(e, $("curve"))); } };
$("curve").onpointerdown = onCurve;
$("curve").onpointermove = onCurve;

// Pixel for pixel, where the page shows them smaller.
$("picture").onclick = () => $("picture").classList.toggle("full");

$("video").onchange = () => { choose(Number($("video").value)); $("video").blur(); };
$("quit").onclick = async () => {
  await saving;
  if (held) { say("first choose which spans count", true); return; }
  await fetch("/quit", { method: "POST" });
  document.body.replaceChildren("Done: the spans are in " + set.file + ". This page may be closed.");
};

// What another page or an editor wrote meanwhile is shown before it is worked on.
window.addEventListener("focus", async () => {
  const f = film;
  if (!f || held || drag) return;
  await saving;
  const answer = await fetch(`/videos/${f.index}`).catch(() => null);
  if (!answer?.ok || f !== film || held) return;
  const now = await answer.json();
  if (now.version === f.version) return;
  f.undo.push(f.spans);
  [f.spans, f.version] = [now.spans, now.version];
  say("the spans of the file have changed");
  show();
});

(async () => {
  set = await (await fetch("/videos")).json();
  $("title").textContent = "label " + set.name;
  $("video").replaceChildren(...set.videos.map((name, i) => new Option(name, i)));
  await choose(0);
})();
