// What a new subnet begins with: keys that the nodes of another subnet dealt to its nodes while these did not even run. Its id
// is made from its key; nothing else of the other subnet is in it. Section 15, subnet creation.
import { EnvironmentError, type RegistryRecord, type Time } from "@atoll/types";
import type { CatchUpPackage } from "../artifacts.ts";
import { genesisCatchUpPackage } from "./genesis.ts";
import { decodeInitialDkgReply } from "./initial-dkg-response.ts";

export interface SubnetGenesisOptions {
  /** The first of the new subnet: its nodes are those that the keys were dealt to. */
  readonly record: RegistryRecord;
  /** Time of the first block. */
  readonly time: Time;
  /** What `setup_initial_dkg` replied to whoever asked for the keys. */
  readonly reply: Uint8Array;
}

/** Throws EnvironmentError("bad-genesis") when there are no keys, or they belong to other nodes or to another subnet. */
export function genesisForSubnet({ record, time, reply }: SubnetGenesisOptions): CatchUpPackage {
  const keys = decodeInitialDkgReply(reply);
  if (keys === undefined)
    throw new EnvironmentError("bad-genesis", "What the new subnet shall begin with are no keys of a subnet.");
  const { low, high, subnetId } = keys;
  if (subnetId !== record.subnetId)
    throw new EnvironmentError("bad-genesis", "The registry record is about another subnet than the key was made for.");
  return genesisCatchUpPackage({ record, time, low, high });
}
