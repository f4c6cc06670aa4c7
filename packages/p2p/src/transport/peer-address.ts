// Where a node is, as its record in the registry says: "host:port", an IPv6 address in brackets. It is from the registry,
// but what does not read as an address must not end a process.

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** Undefined: it is none. */
export function parsePeerAddress(address: string): PeerAddress | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(address);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  return host === undefined || host.length > 253 || port < 1 || port > 65_535 ? undefined : { host, port };
}
