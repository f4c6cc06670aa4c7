// Environment variables of a canister: their order (that of their names' bytes, by which the System API numbers them)
// and the hash of all of them that the canister's history keeps. Specification, "Hash of map".
import { type CryptoPort, hashOfValue, toHex } from "@atoll/types";

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

const encoder = new TextEncoder();

export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/** Sorted as bytes, which for characters beyond the first plane is another order than that of JavaScript's strings. */
export function sortedByName(variables: readonly EnvironmentVariable[]): EnvironmentVariable[] {
  return variables
    .map(({ name, value }) => ({ key: toHex(encoder.encode(name)), variable: { name, value } }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ variable }) => variable);
}

/** Hex. */
export function environmentVariablesHash(
  variables: readonly EnvironmentVariable[],
  sha256: CryptoPort["sha256"],
): string {
  return toHex(hashOfValue(Object.fromEntries(variables.map(({ name, value }) => [name, value])), sha256));
}
