// Just enough DER (ITU-T X.690) for public keys: read SubjectPublicKeyInfo and ECDSA signatures strictly, write
// SubjectPublicKeyInfo. Lengths must be in their shortest form and nothing may follow the outermost value.

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Bytes after the element. */
  readonly rest: Uint8Array;
}

function readElement(bytes: Uint8Array): Element | undefined {
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined) return undefined;
  let length = first;
  let start = 2;
  if (first >= 0x80) {
    const count = first - 0x80;
    if (count === 0 || count > 3 || bytes.length < 2 + count) return undefined;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[2 + i] as number);
    start += count;
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) return undefined;
  }
  if (bytes.length - start < length) return undefined;
  return { tag, content: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}

/** The elements inside one sequence that fills `bytes`; undefined when it is anything else. */
function readSequence(bytes: Uint8Array): Element[] | undefined {
  const outer = readElement(bytes);
  if (outer === undefined || outer.tag !== SEQUENCE || outer.rest.length > 0) return undefined;
  const elements: Element[] = [];
  for (let rest = outer.content; rest.length > 0; ) {
    const element = readElement(rest);
    if (element === undefined) return undefined;
    elements.push(element);
    rest = element.rest;
  }
  return elements;
}

/** A SubjectPublicKeyInfo taken apart: content of the AlgorithmIdentifier, and the key's bytes. */
export function readPublicKeyInfo(der: Uint8Array): { algorithm: Uint8Array; key: Uint8Array } | undefined {
  const elements = readSequence(der);
  if (elements?.length !== 2) return undefined;
  const [algorithm, bits] = elements as [Element, Element];
  if (algorithm.tag !== SEQUENCE || bits.tag !== BIT_STRING || bits.content[0] !== 0) return undefined;
  return { algorithm: algorithm.content, key: bits.content.subarray(1) };
}

/** `algorithm` is the content of the AlgorithmIdentifier: an object identifier and its parameters. */
export function writePublicKeyInfo(algorithm: Uint8Array, key: Uint8Array): Uint8Array {
  const bits = new Uint8Array(key.length + 1);
  bits.set(key, 1);
  return writeElement(SEQUENCE, [...writeElement(SEQUENCE, algorithm), ...writeElement(BIT_STRING, bits)]);
}

/** One element: a tag of one byte, the length in its shortest form, the content. */
export function writeElement(tag: number, content: ArrayLike<number>): Uint8Array {
  const { length } = content;
  const head = [tag];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x1_0000) head.push(0x82, length >> 8, length & 255);
  else head.push(0x83, length >> 16, (length >> 8) & 255, length & 255);
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

/** Magnitudes (no leading zeros) of the two non-negative integers in a sequence of exactly two. */
export function readTwoIntegers(der: Uint8Array): [Uint8Array, Uint8Array] | undefined {
  const elements = readSequence(der);
  if (elements?.length !== 2) return undefined;
  const first = magnitude(elements[0] as Element);
  const second = magnitude(elements[1] as Element);
  return first && second && [first, second];
}

function magnitude({ tag, content }: Element): Uint8Array | undefined {
  const [first, second] = content;
  if (tag !== INTEGER || first === undefined || first >= 0x80) return undefined;
  if (first !== 0 || second === undefined) return content;
  return second >= 0x80 ? content.subarray(1) : undefined;
}

/** A sequence of two non-negative integers, given big-endian. */
export function writeTwoIntegers(first: Uint8Array, second: Uint8Array): Uint8Array {
  return writeElement(SEQUENCE, [
    ...writeElement(INTEGER, positive(first)),
    ...writeElement(INTEGER, positive(second)),
  ]);
}

function positive(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return (trimmed[0] as number) < 0x80 ? trimmed : Uint8Array.of(0, ...trimmed);
}

/** An ECDSA signature in DER as r || s, 32 bytes each; undefined when it is not one. */
export function ecdsaSignatureFromDer(der: Uint8Array): Uint8Array | undefined {
  const integers = readTwoIntegers(der);
  if (integers === undefined || integers[0].length > 32 || integers[1].length > 32) return undefined;
  const signature = new Uint8Array(64);
  signature.set(integers[0], 32 - integers[0].length);
  signature.set(integers[1], 64 - integers[1].length);
  return signature;
}
