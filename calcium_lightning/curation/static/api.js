// What is asked of the server. Knows addresses and formats, nothing of what is shown.
// Addresses are relative: the page's own begins with the token.

export class Refused extends Error {
  constructor(status, body) {
    super(body.error || `the server answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function checked(response) {
  if (response.ok) return response;
  let body = {};
  try {
    body = await response.json();
  } catch {
    body = { error: `the server answered ${response.status}` };
  }
  throw new Refused(response.status, body);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: "the server doesn't answer: start it again, and reload this page; what was decided is kept" });
  }
  return checked(response);
}

export async function getJson(path, signal) {
  return (await ask(path, { signal })).json();
}

export async function postJson(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// JSON and numbers in one answer: the length of the JSON, the JSON, the bytes.
export async function getPacked(path, signal) {
  const buffer = await (await ask(path, { signal })).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  return { about, buffer, offset: 8 + length };
}
