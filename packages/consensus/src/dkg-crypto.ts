// Key generation without interaction as consensus runs it: the dealings of a config and the transcript that they make.
// Section 14.2. A dealing is bound to the key generation, the dealer and the registry version that its keys are from (the
// epoch of encryption keys: `docs/decisions/0015`), so that nobody can deal again what another has dealt.

import { equalBytes } from "@atoll/crypto/domain";
import {
  combinePolynomials,
  createDealing,
  type DealingTerms,
  readCoefficients,
  verifyDealing,
} from "@atoll/crypto/nidkg/index";
import { lagrangeWeights, scalarFromBytes } from "@atoll/crypto/scalar-field";
import type { PrincipalId } from "@atoll/types";
import { encodeWire, principal, record, uint } from "@atoll/types/wire";
import type { ChainKeyPorts } from "./chain-key-crypto.ts";
import type { ConsensusCrypto, KeysOf } from "./consensus-crypto.ts";
import { type DkgConfig, type DkgId, type DkgTranscript, dkgId } from "./dkg-types.ts";
import type { Once } from "./expected-signatures.ts";
import type { ThresholdKeys } from "./threshold-keys.ts";

type DkgCrypto = Pick<ConsensusCrypto, "createDealing" | "verifyDealing" | "createTranscript">;

export function createDkgCrypto(
  self: PrincipalId,
  threshold: ThresholdKeys,
  { crypto, entropy }: ChainKeyPorts,
  once: Once,
): DkgCrypto {
  return {
    createDealing(config, keys) {
      const terms = termsOf(config, keys, self);
      if (terms === undefined) return undefined;
      const { resharing } = config;
      const own = resharing && threshold.secretOf(resharing.dkgId);
      if (resharing !== undefined && own === undefined) return undefined;
      const content = createDealing(terms, own && scalarFromBytes(own), crypto, entropy);
      // It comes back in blocks, and checking it takes as long as making it.
      once("dealing", partsOf(terms, own && crypto.bls.publicKey(own), content), () => true);
      return content;
    },
    verifyDealing(config, keys, dealer, content) {
      const terms = termsOf(config, keys, dealer);
      if (terms === undefined) return false;
      const { resharing } = config;
      const constantTerm = resharing && threshold.sharePublicKey(resharing, resharing.receivers.indexOf(dealer));
      if (resharing !== undefined && constantTerm === undefined) return false;
      const verify = () => verifyDealing(terms, content, constantTerm, crypto);
      return once("dealing", partsOf(terms, constantTerm, content), verify);
    },
    createTranscript: (config, dealings) => createTranscript(config, dealings, crypto.bls),
  };
}

/** All that the answer to whether a dealing is good depends on. */
function partsOf(terms: DealingTerms, constantTerm: Uint8Array | undefined, content: Uint8Array): Uint8Array[] {
  const size = encodeWire(uint(), terms.threshold);
  return [terms.associatedData, size, ...terms.receivers, constantTerm ?? new Uint8Array(), content];
}

function createTranscript(
  config: DkgConfig,
  dealings: Parameters<ConsensusCrypto["createTranscript"]>[1],
  bls: ChainKeyPorts["crypto"]["bls"],
): DkgTranscript | undefined {
  const { dkgId, receivers, threshold, registryVersion, resharing } = config;
  if (dealings.length !== config.collectionThreshold || dealings.length === 0) return undefined;
  if (resharing !== undefined && dealings.length < resharing.threshold) return undefined;
  const places = dealings.map(({ dealer }) => (resharing?.receivers ?? config.dealers).indexOf(dealer));
  if (places.includes(-1) || new Set(places).size !== places.length) return undefined;
  const polynomials = dealings.map(({ content }) => readCoefficients(content, receivers.length, threshold));
  if (!polynomials.every((polynomial) => polynomial !== undefined)) return undefined;
  const weights = lagrangeWeights(places.map((place) => place + 1));
  const coefficients = combinePolynomials(polynomials, weights, bls);
  const [publicKey] = coefficients ?? [];
  if (coefficients === undefined || publicKey === undefined) return undefined;
  const [reshared] = resharing?.coefficients ?? [];
  if (resharing !== undefined && (reshared === undefined || !equalBytes(publicKey, reshared))) return undefined;
  const kept = dealings.map(({ content }, i) => ({ dealerIndex: places[i] as number, content }));
  return { dkgId, receivers, threshold, registryVersion, coefficients, dealings: kept };
}

interface DealingContext {
  readonly dkgId: DkgId;
  readonly dealer: PrincipalId;
  readonly epoch: number;
}
const dealingContext = record<DealingContext>({ dkgId, dealer: principal, epoch: uint() });

/** Undefined: no dealer of this config, or the keys of a receiver are not known. */
function termsOf(config: DkgConfig, keys: KeysOf, dealer: PrincipalId): DealingTerms | undefined {
  const { receivers, threshold, dealers, registryVersion } = config;
  if (!dealers.includes(dealer) || threshold < 1 || threshold > receivers.length) return undefined;
  const receiverKeys = receivers.map((node) => keys(node)?.dealingKey);
  if (!receiverKeys.every((key) => key !== undefined)) return undefined;
  const associatedData = encodeWire(dealingContext, { dkgId: config.dkgId, dealer, epoch: registryVersion });
  return { receivers: receiverKeys, threshold, associatedData };
}
