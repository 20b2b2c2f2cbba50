// What makes the dashboard quicker for those whose browser runs a script. Every page works without it.
"use strict";

// An identifier follows the name until somebody writes it.
function followNames(root) {
  for (const source of root.querySelectorAll("[data-names]")) {
    const target = document.getElementById(source.dataset.names);
    if (!target || target.value !== "") continue;
    let touched = false;
    target.addEventListener("input", () => { touched = target.value !== ""; });
    source.addEventListener("input", () => {
      if (touched) return;
      target.value = source.value
        .normalize("NFKD")
        .replace(/[\u0300-\u036f]/g, "")
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, "");
    });
  }
}
followNames(document);

// Asks for a page, and returns its document; null for anything but the page that was asked for.
async function ask(url, options) {
  const response = await fetch(url, { headers: { Accept: "text/html" }, ...options });
  if (!response.ok || response.redirected) return null;
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// A list is searched while somebody types: what stands below the field is put in place.
const TYPING_PAUSE_MS = 250;
for (const field of document.querySelectorAll("main > form.filters input[type=search]")) {
  const form = field.form;
  let pause = 0;
  let asking = null;
  const search = async () => {
    asking?.abort();
    asking = new AbortController();
    const url = `${form.action.split("?")[0]}?${new URLSearchParams(new FormData(form))}`;
    try {
      const page = await ask(url, { signal: asking.signal });
      const answered = page?.querySelector("main > form.filters");
      if (!answered) return;
      // What is at the head, as the export, is of the same search.
      document.querySelector("main > .head")?.replaceWith(page.querySelector("main > .head"));
      while (form.nextSibling) form.nextSibling.remove();
      while (answered.nextSibling) form.parentNode.append(answered.nextSibling);
      history.replaceState(null, "", url);
    } catch {
      // Another letter came first, or the server is away: the button is still there.
    }
  };
  field.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(search, TYPING_PAUSE_MS);
  });
}

// A row is added or taken out without a new page, and the focus goes to where one goes on.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  const adds = submitter?.name === "act" && submitter.value === "add";
  if (!adds && submitter?.name !== "remove") return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, submitter));
  const page = await ask(form.action, { method: "POST", body }).catch(() => null);
  const answered = page?.querySelector(`form[action="${CSS.escape(form.getAttribute("action"))}"]`);
  if (!answered) {
    // As without a script. What made this fail is then shown.
    submitter.form.append(Object.assign(document.createElement("input"), {
      type: "hidden", name: submitter.name, value: submitter.value,
    }));
    HTMLFormElement.prototype.submit.call(form);
    return;
  }
  form.replaceWith(answered);
  followNames(answered);
  const rows = answered.querySelectorAll("fieldset.row");
  const next = adds ? rows[rows.length - 1]?.querySelector("input") : null;
  (next ?? answered.querySelector("button[value=add]"))?.focus();
});

// A value that is shown once gets a button that copies it.
for (const field of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      field.select();
    }
  });
  field.after(button);
}
