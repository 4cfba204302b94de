"use strict";
// The page of `hilum view`: a list of cases, and one of them drawn by NiiVue with its truth and its prediction.

const root = document.documentElement;
const element = (id) => document.getElementById(id);
const make = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

// ------------------------------------------------------------------------------------------------- colours of the page
const night = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : night.matches;
const nameTheme = () => { element("theme").textContent = isDark() ? "Light mode" : "Dark mode"; };
element("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
night.addEventListener("change", nameTheme);
nameTheme();

// ----------------------------------------------------------------------------------------------------------- the state
const PLANES = 3, RENDER = 4;
const AXIS = { 0: 2, 1: 1, 2: 0, 3: 2, 4: 2 };  // of the slices, in each view
const AXIS_NAMES = ["Sagittal", "Coronal", "Axial"];
const WAIT_MS = 500;
const state = {
  told: null, shown: [], at: -1, turn: 0, about: null, channel: 0, view: matchMedia("(max-width: 40rem)").matches ? 0 : PLANES, hidden: new Set(),
  layers: { truth: { mode: "outline", back: "outline", opacity: 1 }, prediction: { mode: "filled", back: "filled", opacity: .45 } },
};
const volumes = { truth: null, prediction: null };
let viewer = null;

// -------------------------------------------------------------------------------------------------------- the requests
const sent = async (path) => {
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error("hilum view has ended: start it again, and reload the page");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
};
const fetched = async (path) => (await sent(path)).json();
const loaded = async (path, name, settings) => niivue.NVImage.loadFromUrl({
  url: await (await sent(path)).arrayBuffer(), name, ...settings,
});

const say = (text, warn = false) => {
  element("message").textContent = text || "";
  element("message").hidden = !text;
  element("message").classList.toggle("warn", warn);
};

// -------------------------------------------------------------------------------------------------------- the list
const options = (select, pairs, chosen) => {
  select.replaceChildren(...pairs.map(([value, text]) => {
    const option = make("option", text);
    option.value = value;
    option.selected = value === chosen;
    return option;
  }));
};

const fixed = (value, digits = 3) => value === null || value === undefined ? "undefined" : value.toFixed(digits);

const inOrder = (order) => {
  const sign = state.told.score && state.told.score.better === "lower" ? -1 : 1;
  const worst = (one) => one.score === null ? (one.scored ? -Infinity : Infinity) : sign * one.score;
  const compared = {
    worst: (a, b) => worst(a) - worst(b) || a.index - b.index,
    best: (a, b) => (b.score === null ? -Infinity : sign * b.score) - (a.score === null ? -Infinity : sign * a.score) || a.index - b.index,
    name: (a, b) => a.index - b.index,
  };
  return (a, b) => { const way = compared[order](a, b); return Number.isNaN(way) ? a.index - b.index : way; };
};

const filtered = () => {
  const part = element("part").value, flag = element("flag").value, words = element("find").value.trim().toLowerCase();
  const fits = (one) => (part === "all" || one.part === part)
    && (flag === "all" || (flag === "any" ? one.flags.length > 0 : one.flags.includes(flag)))
    && (!words || `${one.id} ${one.patient}`.toLowerCase().includes(words));
  return state.told.cases.filter(fits).sort(inOrder(element("order").value));
};

const listed = (one) => {
  const line = make("li"), button = make("button");
  button.type = "button";
  button.dataset.index = one.index;
  button.append(make("span", one.id, "id"));
  if (state.told.score && one.scored) button.append(make("span", fixed(one.score), "score"));
  const about = [one.patient === one.id ? "" : one.patient, one.part, ...one.remarks].filter(Boolean).join(" \u00b7 ");
  const last = make("span", about, "about");
  if (one.flags.length) last.append(about ? " \u00b7 " : "", make("span", one.flags.join(", "), "flagged"));
  if (last.textContent) button.append(last);
  button.addEventListener("click", () => show(state.shown.indexOf(one)));
  line.append(button);
  return line;
};

const list = () => {
  const current = state.shown[state.at];
  state.shown = filtered();
  element("cases").replaceChildren(...state.shown.map(listed));
  const all = state.told.cases.length;
  element("count").textContent = state.shown.length === all ? `${all} cases` : `${state.shown.length} of ${all} cases`;
  const kept = state.shown.indexOf(current);
  if (kept >= 0) { state.at = kept; mark(); } else if (state.shown.length) { show(0); } else { empty(); }
};

const empty = () => {
  state.at = -1;
  state.turn += 1;
  element("case-id").textContent = "no case";
  element("place").textContent = "";
  mark();
  say("No case fits the filter.");
};

const mark = () => {
  for (const button of element("cases").querySelectorAll("button")) {
    const current = state.shown[state.at] && Number(button.dataset.index) === state.shown[state.at].index;
    button.setAttribute("aria-current", current ? "true" : "false");
    if (current) {  // within the list alone: the page itself must not move
      const box = element("cases");
      const top = button.offsetTop - box.offsetTop;
      if (top < box.scrollTop) box.scrollTop = top;
      if (top + button.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + button.offsetHeight - box.clientHeight;
    }
  }
  const { id } = state.shown[state.at] || { id: "no case" };
  element("case-id").textContent = id;
  element("place").textContent = state.at < 0 ? "" : `${state.at + 1} of ${state.shown.length}`;
  element("previous").disabled = state.at <= 0;
  element("next").disabled = state.at < 0 || state.at >= state.shown.length - 1;
};

// ------------------------------------------------------------------------------------------------------------ one case
const show = async (at) => {
  if (at < 0 || at >= state.shown.length) return;
  state.at = at;
  const turn = ++state.turn, one = state.shown[at];
  mark();
  say(`Reading ${one.id} \u2026`);
  try {
    state.about = await fetched(`case/${one.index}`);
    if (turn !== state.turn) return;
    describe(one);
    state.channel = Math.min(state.channel, state.about.channels.length - 1);
    options(element("channel"), state.about.channels.map((name, index) => [String(index), name]), String(state.channel));
    element("channel-label").hidden = state.about.channels.length < 2;
    await background(one, turn);
  } catch (error) {
    if (turn === state.turn) say(error.message, true);
  }
};

const background = async (one, turn) => {
  const image = await loaded(`image/${one.index}/${state.channel}.nii`, "image.nii", { colormap: "gray" });
  if (turn !== state.turn) return;
  for (const volume of [...viewer.volumes].reverse()) viewer.removeVolume(volume);
  volumes.truth = volumes.prediction = null;
  viewer.addVolume(image);
  state.placed = false;
  const flat = state.about.flat;
  viewer.setRadiologicalConvention(!state.about.picture);
  viewer.opts.isOrientationTextVisible = !state.about.picture;
  for (const button of element("views").querySelectorAll("button")) button.disabled = flat !== null;
  setView(flat === null ? state.view : flat, flat === null);
  say("");
  await Promise.all([layer("truth", one, turn), layer("prediction", one, turn)]);
};

// Truth or prediction above the image, as it is to be drawn now; a prediction that is not there yet is waited for.
const layer = async (name, one, turn) => {
  const note = document.querySelector(`[data-layer=${name}] p`);
  const can = one[name], { mode } = state.layers[name];
  note.hidden = Boolean(can);
  note.textContent = can ? "" : state.told.lacking[name];
  remove(name);
  if (!can || mode === "off") return;
  try {
    if (name === "prediction" && !(await predicted(one, turn, note))) return;
    if (turn !== state.turn || state.layers[name].mode !== mode || volumes[name]) return;
    const path = mode === "outline" ? `${name}-outline/${one.index}.nii` : `${name}/${one.index}.nii`;
    const volume = await loaded(path, `${name}.nii`, { opacity: state.layers[name].opacity });
    if (turn !== state.turn || state.layers[name].mode !== mode || volumes[name]) return;
    volumes[name] = volume;
    colour(name);
    viewer.addVolume(volume);
    if (name === "prediction" && volumes.truth) viewer.setVolume(volumes.truth, viewer.volumes.length - 1);  // above it
    await look(name, one, turn);
  } catch (error) {
    if (turn === state.turn) { note.hidden = false; note.textContent = error.message; say(error.message, true); }
  }
};

// The first layer of a case that holds a structure says where to look.
const look = async (name, one, turn) => {
  if (state.placed) return;
  const { mm } = await fetched(`middle/${name}/${one.index}`);
  if (!mm || state.placed || turn !== state.turn) return;
  state.placed = true;
  viewer.scene.crosshairPos = viewer.mm2frac(mm, 0, true);  // true: by the affine, also of oblique volumes
  viewer.drawScene();
  viewer.createOnLocationChange();
};

const predicted = async (one, turn, note) => {
  for (;;) {
    const told = await fetched(`progress/${one.index}`);
    if (turn !== state.turn) return false;
    const done = told.state === "ready";
    note.hidden = done;
    note.textContent = told.message;
    say(done ? "" : told.message, told.state === "failed");
    if (done || told.state === "failed") return done;
    await new Promise((resolve) => { setTimeout(resolve, WAIT_MS); });
    if (turn !== state.turn) return false;
  }
};

const remove = (name) => {
  if (volumes[name]) viewer.removeVolume(volumes[name]);
  volumes[name] = null;
};

// The colour of each structure; the outline of the truth is white, as in the report.
const colour = (name) => {
  const white = name === "truth" && state.layers.truth.mode === "outline";
  const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
  state.told.classes.forEach((one, index) => {
    const [red, green, blue] = white ? [255, 255, 255] : one.rgb;
    map.R.push(red); map.G.push(green); map.B.push(blue); map.I.push(index + 1); map.labels.push(one.name);
    map.A.push(state.hidden.has(index) ? 0 : 255);
  });
  volumes[name].setColormapLabel(map);
};

const recolour = () => {
  for (const name of Object.keys(volumes)) if (volumes[name]) colour(name);
  viewer.updateGLVolume();
};

const again = (name) => { const one = state.shown[state.at]; if (one && state.about) layer(name, one, state.turn); };

// -------------------------------------------------------------------------------------------------------- the scores
const cells = (line, values) => { for (const value of values) line.append(make("td", value)); return line; };

const describe = (one) => {
  const { rows, columns, shares, reasons } = state.about;
  const table = make("table"), head = make("tr"), body = make("tbody");
  if (shares.length) {
    head.append(make("th", "class"), make("th", "probability"));
    for (const share of shares) {
      const line = make("tr"), name = make("th", share.name);
      line.classList.toggle("marked", share.name === one.label);
      if (share.name === one.label) name.append(" (truth)");
      if (share.name === one.predicted) name.append(" (predicted)");
      line.append(name);
      body.append(cells(line, [fixed(share.value)]));
    }
  } else {
    head.append(make("th", "structure"), ...columns.map((column) => make("th", column)));
    for (const row of rows) {
      const line = make("tr"), name = make("th", row.name);
      if (row.status && row.status !== "found") name.append(" ", make("span", row.status, "status"));
      line.append(name);
      body.append(cells(line, row.values.map((value) => fixed(value, 3))));
    }
  }
  table.append(make("thead"), body);
  table.firstChild.append(head);
  const said = one.label && !shares.length ? `truth: ${one.label}` : state.told.lacking.scores;
  element("reasons").hidden = !reasons.length;
  element("reasons").replaceChildren(...reasons.map((reason) => make("li", reason)));
  element("table").replaceChildren(body.children.length ? table : make("p", said, "muted small"));
};

// ------------------------------------------------------------------------------------------------- views and slices
const setView = (view, remembered = true) => {
  if (remembered) state.view = view;
  state.drawn = view;
  viewer.setSliceType(view);
  for (const button of element("views").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.view) === view));
  }
  place();
};

const axis = () => AXIS[state.drawn];
const sizes = () => viewer.volumes.length ? viewer.volumes[0].dimsRAS.slice(1, 4) : [1, 1, 1];
const slice = () => Math.min(sizes()[axis()] - 1, Math.floor(viewer.scene.crosshairPos[axis()] * sizes()[axis()]));

const place = () => {
  const count = sizes()[axis()];
  element("slice-name").textContent = AXIS_NAMES[axis()];
  element("slice").max = count - 1;
  element("slice").value = slice();
  element("slice").disabled = count < 2;
  element("slice-number").textContent = `${slice() + 1} of ${count}`;
};

const toSlice = (number) => {
  const count = sizes()[axis()];
  const position = viewer.scene.crosshairPos;
  position[axis()] = (Math.max(0, Math.min(count - 1, number)) + .5) / count;
  viewer.drawScene();
  viewer.createOnLocationChange();
  place();
};

const located = (told) => {
  const named = (value, index) => {
    const found = Math.round(value.value);
    return found > 0 && state.told.classes[found - 1] ? `${index}: ${state.told.classes[found - 1].name}` : "";
  };
  const value = told.values && told.values.length ? `value ${Number(told.values[0].value.toPrecision(4))}` : "";
  const layers = viewer.volumes.slice(1).map((volume, index) => {
    const name = Object.keys(volumes).find((key) => volumes[key] === volume);
    return name && told.values[index + 1] ? named(told.values[index + 1], name) : "";
  });
  const world = viewer.frac2mm(viewer.scene.crosshairPos, 0, true);
  const mm = state.about && !state.about.picture ? `${Array.from(world).slice(0, 3).map((one) => one.toFixed(1)).join(", ")} mm` : "";
  element("location").textContent = [mm, value, ...layers].filter(Boolean).join(" \u00b7 ");
  place();
};

// ---------------------------------------------------------------------------------------------------- the controls
const setLayer = (name, mode) => {
  const own = state.layers[name];
  own.mode = mode;
  if (mode !== "off") own.back = mode;
  document.querySelector(`[data-layer=${name}] select`).value = mode;
  again(name);
};

const toggle = (name) => setLayer(name, state.layers[name].mode === "off" ? state.layers[name].back : "off");

const setOpacity = (name, share) => {
  state.layers[name].opacity = Math.max(0, Math.min(1, share));
  document.querySelector(`[data-layer=${name}] input`).value = Math.round(100 * state.layers[name].opacity);
  if (volumes[name]) viewer.setOpacity(viewer.volumes.indexOf(volumes[name]), state.layers[name].opacity);
};

const KEYS = {
  ArrowRight: () => show(state.at + 1),
  ArrowLeft: () => show(state.at - 1),
  ArrowUp: () => toSlice(slice() + 1),
  ArrowDown: () => toSlice(slice() - 1),
  t: () => toggle("truth"),
  p: () => toggle("prediction"),
  o: () => setLayer("prediction", state.layers.prediction.mode === "filled" ? "outline" : "filled"),
  "+": () => setOpacity("prediction", state.layers.prediction.opacity + .1),
  "=": () => setOpacity("prediction", state.layers.prediction.opacity + .1),
  "-": () => setOpacity("prediction", state.layers.prediction.opacity - .1),
  "/": () => element("find").focus(),
  ...Object.fromEntries([PLANES, 0, 1, 2, RENDER].map((view, index) => [
    String(index + 1), () => { if (!state.about || state.about.flat === null) setView(view); },
  ])),
};

window.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input[type=search], select");
  if (event.key === "Escape" && typing) event.target.blur();
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const slides = event.target.matches("input[type=range]") && event.key.startsWith("Arrow");
  if (!act || typing || slides || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  act();
}, true);

const listen = () => {
  element("previous").addEventListener("click", KEYS.ArrowLeft);
  element("next").addEventListener("click", KEYS.ArrowRight);
  for (const id of ["part", "order", "flag"]) element(id).addEventListener("change", list);
  element("find").addEventListener("input", list);
  element("slice").addEventListener("input", (event) => toSlice(Number(event.target.value)));
  element("channel").addEventListener("change", (event) => {
    state.channel = Number(event.target.value);
    show(state.at);
  });
  for (const button of element("views").querySelectorAll("button")) {
    button.addEventListener("click", () => setView(Number(button.dataset.view)));
  }
  for (const name of Object.keys(state.layers)) {
    const box = document.querySelector(`[data-layer=${name}]`);
    box.querySelector("select").addEventListener("change", (event) => setLayer(name, event.target.value));
    box.querySelector("input").addEventListener("input", (event) => setOpacity(name, Number(event.target.value) / 100));
  }
};

// ------------------------------------------------------------------------------------------------------------- the start
const classes = () => state.told.classes.map((one, index) => {
  const line = make("li"), label = make("label"), box = make("input"), swatch = make("span", "", "swatch");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](index); recolour(); });
  swatch.style.background = `rgb(${one.rgb.join(" ")})`;
  label.append(box, swatch, one.name);
  line.append(label);
  return line;
});

const introduce = () => {
  const { name, about, parts, part, flags, score } = state.told;
  document.title = `${name}: hilum view`;
  element("name").textContent = name;
  element("summary").textContent = about;
  options(element("part"), [["all", "all"], ...parts.map((one) => [one, one])], part);
  const orders = score ? [["worst", "worst first"], ["best", "best first"]] : [];
  options(element("order"), [...orders, ["name", "name"]], orders.length ? "worst" : "name");
  options(element("flag"), [["all", "all cases"], ["any", "any flag"], ...flags.map((one) => [one, one])], "all");
  element("order").title = score ? `by ${score.name}` : "";
  element("flag-label").hidden = !flags.length;
  element("layers").hidden = !state.told.classes.length;
  element("classes").replaceChildren(...classes());
};

const start = async () => {
  try {
    state.told = await fetched("cases.json");
    introduce();
    listen();
    viewer = new niivue.Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [.45, .75, .95, .6], crosshairWidth: .15, dragAndDropEnabled: false,
      isNearestInterpolation: true, isRadiologicalConvention: true, loadingText: "", logLevel: "error",
      multiplanarShowRender: 0, show3Dcrosshair: true, sagittalNoseLeft: true, viewModeHotKey: "", clipPlaneHotKey: "",
    });
    viewer.onLocationChange = located;
    await viewer.attachToCanvas(element("canvas"));
    list();
  } catch (error) {
    say(error.message, true);
  }
};
start();
