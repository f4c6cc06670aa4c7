// Domain separators (interface specification, "Signatures"): what is hashed or signed for one purpose can never be
// taken for another, because it starts with the length and the name of its purpose.

const encoder = new TextEncoder();

function domainSeparator(name: string): Uint8Array {
  const text = encoder.encode(name);
  return Uint8Array.of(text.length, ...text);
}

export const DOMAIN = {
  request: domainSeparator("ic-request"),
  delegation: domainSeparator("ic-request-auth-delegation"),
  response: domainSeparator("ic-response"),
  stateRoot: domainSeparator("ic-state-root"),
  senderInfo: domainSeparator("ic-sender-info"),
  treeEmpty: domainSeparator("ic-hashtree-empty"),
  treeFork: domainSeparator("ic-hashtree-fork"),
  treeLabeled: domainSeparator("ic-hashtree-labeled"),
  treeLeaf: domainSeparator("ic-hashtree-leaf"),
} as const;

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
