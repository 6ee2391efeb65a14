// What is asked of the server. Knows addresses and formats, nothing of what is shown.
// Addresses are relative: the page's own begins with the token.

export class Refused extends Error {
  constructor(status, body) {
    super(body.error || `the server answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

// An answer whose body is cut off is none, as one that doesn't come.
async function ask(path, options, read) {
  let response, body;
  try {
    response = await fetch(`api/${path}`, options);
    body = response.ok ? await read(response) : await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: "the server doesn't answer: start it again, and open the address that it prints; what was decided is kept" });
  }
  if (response.ok) return body;
  let told = {};
  try {
    told = JSON.parse(body);
  } catch {
    // words of a server in between: the status tells
  }
  throw new Refused(response.status, told);
}

const json = (response) => response.json();

export function getJson(path, signal) {
  return ask(path, { signal }, json);
}

// What is sent as the page is left arrives all the same (keepalive), if it is small: browsers take 64 KiB at a time so.
const SMALL = 16000;

export function postJson(path, value) {
  const headers = { "Content-Type": "application/json" }, body = JSON.stringify(value);
  return ask(path, { method: "POST", headers, body, keepalive: body.length < SMALL }, json);
}

// JSON and numbers in one answer: the length of the JSON, the JSON, the bytes.
export async function getPacked(path, signal) {
  const buffer = await ask(path, { signal }, (response) => response.arrayBuffer());
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  return { about, buffer, offset: 8 + length };
}
