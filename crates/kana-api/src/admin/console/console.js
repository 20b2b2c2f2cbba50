// The console of the Admin API: GraphiQL where its files can be loaded, and a plain console that
// needs nothing from outside. Both use the key of the bar on top, which is kept in that field and
// nowhere else.
'use strict';

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; an attribute that is a function is a listener. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children.flat());
  return made;
}

// ---------------------------------------------------------------------------------------------
// Asking

const keyField = byId('key');

/** Sends a GraphQL request; answers the body, its text and the HTTP status. */
async function ask(request) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  const key = keyField.value.trim();
  // The browser refuses to send a header that is no Latin text; no key is anything else.
  if (key) headers.Authorization = key.replace(/[^\x21-\x7e]/g, '?');
  const response = await fetch(location.pathname, {
    method: 'POST',
    headers,
    body: JSON.stringify(request),
    cache: 'no-store',
    credentials: 'omit',
  });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text), text };
  } catch {
    return { status: response.status, body: undefined, text };
  }
}

/** The first thing that an answer complains about. */
function complaint({ status, body, text }) {
  if (!body) return `HTTP ${status}: ${text.slice(0, 200)}`;
  return body.errors?.[0]?.message;
}

function say(place, message, tone = '') {
  place.textContent = message;
  place.className = tone;
}

// ---------------------------------------------------------------------------------------------
// The key

const keyStatus = byId('key-status');
const keyHint = keyStatus.textContent;
let keyInUse = '';

/** Uses what the field holds: loads the schema with it, which also tells whether it is valid. */
async function useKey() {
  const key = keyField.value.trim();
  if (key === keyInUse) return;
  keyInUse = key;
  schema.forget();
  renderGraphiql();
  if (!key) return say(keyStatus, keyHint);
  say(keyStatus, 'Loading the schema…');
  let answer, problem;
  try {
    answer = await ask({ query: INTROSPECTION });
    problem = complaint(answer);
  } catch {
    problem = 'The server cannot be reached.';
  }
  // Another key may have been entered meanwhile; its own answer is the one that counts.
  if (key !== keyInUse) return;
  if (problem) {
    // Entering the same key again tries again.
    keyInUse = '';
    return say(keyStatus, problem, 'wrong');
  }
  const environment = key.includes('_live_') ? 'live' : 'test';
  say(keyStatus, `Connected to the ${environment} environment.`, 'right');
  schema.show(answer.body.data.__schema);
}

keyField.addEventListener('change', useKey);
keyField.addEventListener('input', () => {
  // A pasted key is complete at once. So is one that was just deleted.
  if (/^(prv_(test|live)_[0-9a-z]{40})?$/.test(keyField.value.trim())) useKey();
});
keyField.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') useKey();
});

byId('show-key').addEventListener('click', ({ currentTarget }) => {
  const shown = keyField.type === 'text';
  keyField.type = shown ? 'password' : 'text';
  currentTarget.textContent = shown ? 'Show' : 'Hide';
  currentTarget.setAttribute('aria-pressed', String(!shown));
});

// ---------------------------------------------------------------------------------------------
// The plain console: a request and its answer

const runButton = byId('run');
const runStatus = byId('run-status');

async function run() {
  if (runButton.disabled) return;
  let variables;
  try {
    variables = JSON.parse(byId('variables').value.trim() || '{}');
  } catch (error) {
    byId('variables').focus();
    return say(runStatus, `The variables are not valid JSON: ${error.message}`, 'wrong');
  }
  runButton.disabled = true;
  say(runStatus, 'Running…');
  const started = performance.now();
  try {
    const answer = await ask({ query: byId('query').value, variables });
    const took = Math.round(performance.now() - started);
    const shown = answer.body ? JSON.stringify(answer.body, null, 2) : answer.text;
    byId('answer').replaceChildren(...colored(shown));
    const problem = complaint(answer);
    say(runStatus, problem ?? `Answered in ${took} ms.`, problem ? 'wrong' : '');
  } catch {
    say(runStatus, 'The server cannot be reached.', 'wrong');
  }
  runButton.disabled = false;
}

runButton.addEventListener('click', run);
byId('plain').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});

/** JSON text in pieces, each with the class that colors it. */
function* colored(json) {
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;
  let end = 0;
  for (const match of json.matchAll(token)) {
    const [all, string, colon, number] = match;
    yield json.slice(end, match.index);
    const kind = string ? (colon ? 'name' : 'string') : number ? 'number' : 'word';
    yield element('span', { class: kind }, string ?? all);
    yield colon ?? '';
    end = match.index + all.length;
  }
  yield json.slice(end);
}

// ---------------------------------------------------------------------------------------------
// The plain console: the schema

const INTROSPECTION = `{
  __schema {
    queryType { name }
    mutationType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason
        args { ...input }
        type { ...type }
      }
      inputFields { ...input }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { name }
    }
  }
}
fragment input on __InputValue { name description defaultValue type { ...type } }
fragment type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`;

const KIND_WORDS = {
  OBJECT: 'type',
  INPUT_OBJECT: 'input',
  ENUM: 'enum',
  SCALAR: 'scalar',
  INTERFACE: 'interface',
  UNION: 'union',
};

const schema = {
  types: new Map(),
  roots: [],
  /** The names of the types that led to the one that is shown, which is the last. */
  path: [],

  forget() {
    this.types.clear();
    byId('schema-tools').hidden = true;
    const hint = element('p', { class: 'hint' }, 'Enter a private key to browse the schema.');
    byId('schema').replaceChildren(hint);
  },

  show({ types, queryType, mutationType }) {
    // What starts with two underscores describes the schema itself.
    for (const type of types) if (!type.name.startsWith('__')) this.types.set(type.name, type);
    this.roots = [queryType, mutationType].filter(Boolean).map(({ name }) => name);
    byId('schema-tools').hidden = false;
    byId('schema-search').value = '';
    this.open([], false);
  },

  /** Shows the type that the path ends with; all of the schema where it is empty. */
  open(path, takeFocus = true) {
    this.path = path;
    const type = this.types.get(path.at(-1));
    byId('schema').replaceChildren(...(type ? this.typePage(type) : this.firstPage()));
    byId('schema').scrollTop = 0;
    const steps = path.length ? ['', ...path] : [];
    const links = steps.map((name, index) => {
      const text = name || 'Schema';
      return index === steps.length - 1
        ? element('span', { 'aria-current': 'page' }, text)
        : [this.link(text, path.slice(0, index)), element('span', {}, '›')];
    });
    byId('schema-path').replaceChildren(...links.flat());
    // Whoever came by keyboard goes on reading from the heading, and not from the page's top.
    if (takeFocus) byId('schema').querySelector('h3')?.focus();
  },

  firstPage() {
    const others = [...this.types.values()].filter(({ name }) => !this.roots.includes(name));
    others.sort((one, other) => one.name.localeCompare(other.name));
    const roots = this.roots.map((name) => [
      element('h4', {}, name),
      element('ul', {}, this.types.get(name).fields.map((field) => this.field(field, [name]))),
    ]);
    const heading = element('h3', { tabindex: '-1', class: 'visually-hidden' }, 'All of it');
    return [heading, ...roots.flat(), element('h4', {}, 'Types'), this.typeList(others, [])];
  },

  typePage(type) {
    const kind = element('span', { class: 'kind' }, `${KIND_WORDS[type.kind]} `);
    const page = [element('h3', { tabindex: '-1' }, kind, type.name), ...description(type)];
    const list = (title, items) => {
      if (items.length) page.push(element('h4', {}, title), element('ul', {}, items));
    };
    list('Fields', (type.fields ?? []).map((field) => this.field(field, this.path)));
    list('Fields', (type.inputFields ?? []).map((input) => this.input(input, this.path)));
    list('Values', (type.enumValues ?? []).map((value) =>
      element('li', {}, element('div', { class: 'signature' }, value.name), description(value))));
    list('One of', (type.possibleTypes ?? []).map(({ name }) =>
      element('li', {}, this.typeLink({ name }, this.path))));
    return page;
  },

  /** Everything whose name holds the text. */
  found(text) {
    const matches = ({ name }) => name.toLowerCase().includes(text);
    const items = [];
    for (const type of this.types.values()) {
      if (matches(type) && !this.roots.includes(type.name)) items.push(this.typeItem(type, []));
      for (const field of [...(type.fields ?? []), ...(type.inputFields ?? [])]) {
        if (!matches(field)) continue;
        const name = element('div', { class: 'signature' },
          this.link(type.name, [type.name], 'type'), `.${field.name}`);
        items.push(element('li', {}, name, description(field)));
      }
    }
    const count = items.length === 1 ? '1 match' : `${items.length} matches`;
    return [element('h4', { role: 'status' }, count), element('ul', {}, items)];
  },

  field(field, path) {
    const args = field.args.map((arg) => this.input(arg, path));
    return element('li', {},
      element('div', { class: 'signature' }, field.name, ': ', this.typeLink(field.type, path)),
      description(field),
      args.length ? element('ul', { 'aria-label': `Arguments of ${field.name}` }, args) : []);
  },

  input({ defaultValue, ...input }, path) {
    const byDefault = defaultValue == null ? '' : ` = ${defaultValue}`;
    return element('li', {},
      element('div', { class: 'signature' },
        input.name, ': ', this.typeLink(input.type, path), byDefault),
      description(input));
  },

  typeList(types, path) {
    return element('ul', {}, types.map((type) => this.typeItem(type, path)));
  },

  typeItem(type, path) {
    const kind = ` ${KIND_WORDS[type.kind]}`;
    const link = this.link(type.name, [...path, type.name], 'type');
    return element('li', {}, element('div', { class: 'signature' }, link, kind), description(type));
  },

  /** A type as GraphQL writes it, in which its name is a link. */
  typeLink(type, path) {
    if (type.kind === 'NON_NULL') return [this.typeLink(type.ofType, path), '!'].flat();
    if (type.kind === 'LIST') return ['[', this.typeLink(type.ofType, path), ']'].flat();
    // To go to a type that led here is to go back.
    const known = path.indexOf(type.name);
    const to = known < 0 ? [...path, type.name] : path.slice(0, known + 1);
    return this.link(type.name, to, 'type');
  },

  link(text, path, kind = '') {
    const open = () => {
      byId('schema-search').value = '';
      this.open(path);
    };
    return element('button', { type: 'button', class: `link ${kind}`, click: open }, text);
  },
};

byId('schema-search').addEventListener('input', ({ currentTarget }) => {
  const text = currentTarget.value.trim().toLowerCase();
  if (!text) return schema.open(schema.path, false);
  byId('schema').replaceChildren(...schema.found(text));
});

/** Paragraphs of a description, in which what stands between backticks is code. */
function description({ description, isDeprecated, deprecationReason }) {
  const paragraphs = (description ?? '').split(/\n\s*\n/).filter((text) => text.trim());
  const shown = paragraphs.map((text) => element('p', {},
    text.split('`').map((part, index) => (index % 2 ? element('code', {}, part) : part))));
  if (isDeprecated) {
    const why = deprecationReason ? `: ${deprecationReason}` : '';
    shown.push(element('p', { class: 'deprecated' }, `Deprecated${why}`));
  }
  return shown;
}

// ---------------------------------------------------------------------------------------------
// GraphiQL, where it can be loaded

/** How long to wait for GraphiQL before the plain console is shown instead. */
const PATIENCE_MILLISECONDS = 3000;

let graphiqlRoot;

function renderGraphiql() {
  if (!graphiqlRoot) return;
  // A new fetcher makes GraphiQL ask for the schema again; null keeps it from asking.
  const fetcher = async (request) => {
    const answer = await ask(request);
    return answer.body ?? { errors: [{ message: complaint(answer) }] };
  };
  graphiqlRoot.render(React.createElement(GraphiQL, {
    fetcher,
    schema: keyInUse ? undefined : null,
    defaultQuery: byId('query').value,
    // Queries are kept as long as the tab; the key is not among what GraphiQL knows.
    storage: sessionStorage,
    isHeadersEditorEnabled: false,
    showPersistHeadersSettings: false,
    shouldPersistHeaders: false,
  }));
}

/** Adds GraphiQL's files to the page; rejects if one cannot be loaded or is not the expected. */
function loadGraphiql() {
  return Promise.all([...byId('graphiql-files').content.children].map((file) => {
    const copy = document.importNode(file, true);
    // Scripts are executed in the order in which they stand there.
    copy.async = false;
    const loaded = new Promise((resolve, reject) => {
      copy.addEventListener('load', resolve);
      copy.addEventListener('error', reject);
    });
    document.head.append(copy);
    return loaded;
  }));
}

function view(name) {
  byId('loading').hidden = true;
  for (const each of ['graphiql', 'plain']) {
    byId(each).hidden = each !== name;
    byId(`view-${each}`).setAttribute('aria-pressed', String(each === name));
  }
}

const isUndecided = () => !byId('loading').hidden;

byId('view-graphiql').addEventListener('click', () => view('graphiql'));
byId('view-plain').addEventListener('click', () => view('plain'));
setTimeout(() => isUndecided() && view('plain'), PATIENCE_MILLISECONDS);
keyField.focus();

loadGraphiql().then(
  () => {
    graphiqlRoot = ReactDOM.createRoot(byId('graphiql'));
    renderGraphiql();
    byId('views').hidden = false;
    // Whoever has begun to work with the plain console is left there.
    if (isUndecided()) view('graphiql');
  },
  () => isUndecided() && view('plain'),
);
