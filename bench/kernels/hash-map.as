// Hash map: open addressing, 2^17 slots of two u64, insertions and look-ups.
const MASK: u32 = 131071;
const SLOTS: usize = 65536;

export function setup(): void {}

function slot(key: u64): usize {
  let at = <u32>((key * 0x9e3779b97f4a7c15) >> 40) & MASK;
  while (true) {
    const here: usize = SLOTS + 16 * <usize>at;
    const found = load<u64>(here);
    if (found == 0 || found == key) return here;
    at = (at + 1) & MASK;
  }
}

export function run(rounds: i32): i32 {
  let x: u64 = 88172645463325252;
  let hits = 0;
  for (let r = 0; r < rounds; r++) {
    for (let i = 0; i < 50000; i++) {
      x ^= x << 13; x ^= x >> 7; x ^= x << 17;
      const key = (x % 80000) + 1;
      const at = slot(key);
      if (load<u64>(at) == key) { hits++; store<u64>(at + 8, load<u64>(at + 8) + 1); }
      else { store<u64>(at, key); store<u64>(at + 8, 1); }
    }
  }
  return hits;
}
