// Names of Rust functions as people write them: undoes the compiler's older ("legacy") mangling, as the replica does
// before it shows a backtrace. `_ZN4core3fmt5write17h0123456789abcdefE` is `core::fmt::write`. Names of the newer scheme
// (`_R…`) and of other languages stay as they are.

const ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

export function demangle(name: string): string {
  const elements = elementsOf(name);
  if (elements === undefined) return name;
  const last = elements.at(-1) ?? "";
  const shown = elements.length > 1 && /^h[0-9a-f]+$/i.test(last) ? elements.slice(0, -1) : elements;
  return shown.map(readable).join("::");
}

/** The parts of a mangled path; undefined: it is none. */
function elementsOf(name: string): string[] | undefined {
  const body = /^_{0,2}ZN((?:[\x20-\x7e])*)$/.exec(name)?.[1];
  if (body === undefined) return undefined;
  const elements: string[] = [];
  let at = 0;
  while (body[at] !== "E") {
    const digits = /^[0-9]{1,6}/.exec(body.slice(at, at + 6))?.[0];
    if (digits === undefined) return undefined;
    at += digits.length;
    const element = body.slice(at, at + Number(digits));
    if (element.length !== Number(digits)) return undefined;
    elements.push(element);
    at += element.length;
  }
  const suffix = body.slice(at + 1);
  return elements.length > 0 && (suffix === "" || suffix.startsWith(".")) ? elements : undefined;
}

function readable(element: string): string {
  let rest = element.startsWith("_$") ? element.slice(1) : element;
  let out = "";
  while (rest !== "") {
    if (rest.startsWith("..")) {
      out += "::";
      rest = rest.slice(2);
    } else if (rest.startsWith(".")) {
      out += ".";
      rest = rest.slice(1);
    } else if (rest.startsWith("$")) {
      const end = rest.indexOf("$", 1);
      const character = end < 0 ? undefined : unescaped(rest.slice(1, end));
      if (character === undefined) return out + rest;
      out += character;
      rest = rest.slice(end + 1);
    } else {
      const end = rest.search(/[$.]/);
      out += end < 0 ? rest : rest.slice(0, end);
      rest = end < 0 ? "" : rest.slice(end);
    }
  }
  return out;
}

function unescaped(code: string): string | undefined {
  const known = ESCAPES[code];
  if (known !== undefined) return known;
  const digits = /^u([0-9a-f]{1,6})$/.exec(code)?.[1];
  const point = digits === undefined ? -1 : Number.parseInt(digits, 16);
  const isControl = point < 0x20 || (point >= 0x7f && point < 0xa0);
  return isControl || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? undefined : String.fromCodePoint(point);
}
