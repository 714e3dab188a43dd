"use strict";
const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
let models = [];

function element(name, text, parent) {
  const node = document.createElement(name);
  node.textContent = text;
  parent.append(node);
  return node;
}

function headers() {
  const token = $("token").value;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path, options) {
  const response = await fetch(path, { ...options, headers: headers() });
  const data = await response.json();
  if (response.status === 401) $("secret").hidden = false;
  if (!response.ok) throw new Error(data.error);
  return data;
}

async function loadModels() {
  try {
    models = (await ask("v1/models")).models;
  } catch (error) {
    $("status").textContent = error.message;
    return;
  }
  $("status").textContent = "";
  $("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  showModel();
}

function showModel() {
  const model = models.find((each) => each.name === $("model").value);
  if (!model) return;
  const { channels, height, width } = model.input;
  $("about").textContent = `${model.task}, ${model.labels.length} labels, images ${width} × ${height} × ${channels}`;
  const token = $("secret").hidden ? "" : ' -H "Authorization: Bearer $TOKEN"';
  $("command").textContent = `curl --data-binary @photo.jpg${token} ${location.origin}/v1/models/${encodeURIComponent(model.name)}/predict`;
}

async function send(file) {
  const item = document.createElement("li");
  const image = document.createElement("img");
  image.alt = file.name;
  image.src = URL.createObjectURL(file);
  image.onload = () => URL.revokeObjectURL(image.src);
  const answer = document.createElement("div");
  answer.className = "answer";
  item.append(image, answer);
  $("results").prepend(item);
  element("strong", "…", answer);
  try {
    const path = `v1/models/${encodeURIComponent($("model").value)}/predict`;
    const [result] = (await ask(path, { method: "POST", body: file })).results;
    answer.replaceChildren();
    show(result, answer);
    $("status").textContent = `${file.name}: ${answer.querySelector("strong").textContent}`;
  } catch (error) {
    answer.replaceChildren();
    element("strong", error.message, answer);
    $("status").textContent = error.message;
  }
}

function show(result, answer) {
  if (!result.ranked) {
    const { image, ...rest } = result;
    element("strong", image, answer);
    element("pre", JSON.stringify(rest, (key, value) => (typeof value === "string" && value.length > 200 ? `${value.slice(0, 200)}…` : value), 1), answer);
    return;
  }
  const text = result.labels ? result.labels.join(", ") || "no label" : `${result.label} (${percent(result.probability)})`;
  element("strong", result.known === false ? "don't know" : text, answer);
  for (const { label, probability } of result.ranked) {
    const meter = document.createElement("meter");
    meter.value = probability;
    meter.setAttribute("aria-label", label);
    element("div", `${label} ${percent(probability)}`, answer).append(meter);
  }
}

const sendAll = (files) => [...files].forEach(send);
$("files").addEventListener("change", (event) => sendAll(event.target.files));
$("model").addEventListener("change", showModel);
$("secret").addEventListener("submit", (event) => { event.preventDefault(); loadModels(); });
$("token").addEventListener("change", loadModels);
$("drop").addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => { event.preventDefault(); $("drop").classList.remove("over"); sendAll(event.dataTransfer.files); });
addEventListener("paste", (event) => sendAll(event.clipboardData.files));
loadModels();
