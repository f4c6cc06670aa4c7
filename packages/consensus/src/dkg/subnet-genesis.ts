// What a new subnet begins with: keys that the nodes of another subnet dealt to its nodes while these did not even run. Its id
// is made from its key; nothing else of the other subnet is in it. Section 15, subnet creation.
import { sha224 } from "@atoll/crypto/sha";
import { selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto/subnet-key";
import { EnvironmentError, type PrincipalId, type RegistryRecord, type Time, toHex } from "@atoll/types";
import type { CatchUpPackage } from "../artifacts.ts";
import type { DkgTag, DkgTranscript, RemoteDkgResult } from "../dkg-types.ts";
import { genesisCatchUpPackage } from "./genesis.ts";

export interface SubnetGenesisOptions {
  /** The first of the new subnet: its nodes are those that the keys were dealt to. */
  readonly record: RegistryRecord;
  /** Time of the first block. */
  readonly time: Time;
  /** Names the request, 32 bytes. */
  readonly target: Uint8Array;
  /** What the other subnet told whoever asked. */
  readonly results: readonly RemoteDkgResult[];
}

/** Throws EnvironmentError("bad-genesis") when a key is missing, or belongs to other nodes or to another subnet. */
export function genesisForSubnet({ record, time, target, results }: SubnetGenesisOptions): CatchUpPackage {
  const low = transcriptFor(results, target, "low");
  const high = transcriptFor(results, target, "high");
  if (subnetIdOf(high) !== record.subnetId)
    throw new EnvironmentError("bad-genesis", "The registry record is about another subnet than the key was made for.");
  return genesisCatchUpPackage({ record, time, low, high });
}

/** The id of the subnet that has this high key. */
export function subnetIdOf(high: DkgTranscript): PrincipalId {
  return selfAuthenticatingId(subnetKeyToDer(high.coefficients[0] ?? new Uint8Array()), sha224);
}

function transcriptFor(results: readonly RemoteDkgResult[], target: Uint8Array, tag: DkgTag): DkgTranscript {
  const result = results.find(
    ({ dkgId }) => dkgId.tag === tag && dkgId.target !== undefined && toHex(dkgId.target) === toHex(target),
  );
  if (result?.transcript !== undefined) return result.transcript;
  const why = result === undefined || result.failure === "" ? "it was not made" : result.failure;
  throw new EnvironmentError("bad-genesis", `The new subnet has no ${tag} key: ${why}.`);
}
