// Agreement between the nodes of a subnet. So far: certification of states; blocks, notarization, finalization, the
// random beacon and key generation join here when a subnet has many nodes.
export * from "./certification.ts";
