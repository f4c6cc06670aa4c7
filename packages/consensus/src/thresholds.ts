// How many of n nodes it takes: of n = 3f + 1 nodes f may do whatever they like, and all safety and liveness of a subnet
// rests on these few sums. Section 1.

/** f: how many of `nodes` may do whatever they like. */
export function faultsTolerated(nodes: number): number {
  return Math.floor((nodes - 1) / 3);
}

/** 3f + 1: nodes beyond that sit out of a round's notarization committee. */
export function committeeSize(nodes: number): number {
  return 3 * faultsTolerated(nodes) + 1;
}

/** f + 1: at least one of them is honest. Random beacon and tape. */
export function lowThreshold(nodes: number): number {
  return faultsTolerated(nodes) + 1;
}

/** 2f + 1: any two such sets have an honest node in common. Notarization, finalization, certification, catch-up packages. */
export function highThreshold(nodes: number): number {
  return committeeSize(nodes) - faultsTolerated(nodes);
}
