// Whether a dealing is what its key generation asks for: from one of the dealers, signed by it, and giving every receiver
// its share. That takes long, so what has been found out is kept for a while. Section 12.3.
import { type RegistryPort, toHex } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import type { ConsensusCrypto } from "../consensus-crypto.ts";
import { type DkgConfig, type DkgDealingMessage, dkgConfig } from "../dkg-types.ts";
import { dealingBytes } from "../signed-bytes.ts";
import { keysOf } from "./dkg-keys.ts";

/** Dealings that are remembered: all of a large subnet's interval. */
const MAX_REMEMBERED = 512;

const found = new WeakMap<ConsensusCrypto, Map<string, boolean>>();

/** "later": a version of the registry is not known here yet. */
export function checkDealing(
  crypto: ConsensusCrypto,
  registry: RegistryPort,
  config: DkgConfig,
  message: DkgDealingMessage,
): "valid" | "invalid" | "later" {
  const keys = keysOf(registry, config);
  if (keys === undefined) return "later";
  const bytes = dealingBytes(message);
  const remembered = memory(crypto);
  const name = nameOf(crypto, config, message, bytes);
  let isValid = remembered.get(name);
  if (isValid === undefined) {
    const dealer = config.dealers.includes(message.dealer) ? keys(message.dealer) : undefined;
    isValid =
      dealer !== undefined &&
      crypto.verifyBasic(dealer, bytes, message.signature) &&
      crypto.verifyDealing(config, keys, message.dealer, message.content);
    if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value ?? "");
    remembered.set(name, isValid);
  }
  return isValid ? "valid" : "invalid";
}

/** Whether `checkDealing` would answer at once. */
export function isDealingRemembered(crypto: ConsensusCrypto, config: DkgConfig, message: DkgDealingMessage): boolean {
  return memory(crypto).has(nameOf(crypto, config, message, dealingBytes(message)));
}

const configNames = new WeakMap<DkgConfig, string>();

// Two chains can have key generations of the same id that differ in receivers or in the key that is shared anew: what is a
// right dealing for the one is none for the other.
function nameOf(
  crypto: ConsensusCrypto,
  config: DkgConfig,
  { signature }: DkgDealingMessage,
  bytes: Uint8Array,
): string {
  const configName = configNames.get(config) ?? toHex(crypto.sha256(encodeWire(dkgConfig, config)));
  configNames.set(config, configName);
  return `${configName}/${toHex(crypto.sha256(bytes))}/${toHex(signature)}`;
}

function memory(crypto: ConsensusCrypto): Map<string, boolean> {
  const known = found.get(crypto) ?? new Map<string, boolean>();
  found.set(crypto, known);
  return known;
}
