// Hash: SHA-256 compression over a buffer, the constants computed at the start.
const K: usize = 1024;
const W: usize = 2048;
const DATA: usize = 65536;

function fraction(x: f64): u32 { return <u32>((x - floor(x)) * 4294967296.0); }

export function setup(): void {
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d == 0) { prime = false; break; }
    if (prime) store<u32>(K + 4 * found++, fraction(Math.cbrt(<f64>n)));
  }
  for (let i = 0; i < 65536; i++) store<u8>(DATA + i, <u8>(i * 7));
}

export function run(rounds: i32): i32 {
  let h0: u32 = 0x6a09e667, h1: u32 = 0xbb67ae85, h2: u32 = 0x3c6ef372, h3: u32 = 0xa54ff53a;
  let h4: u32 = 0x510e527f, h5: u32 = 0x9b05688c, h6: u32 = 0x1f83d9ab, h7: u32 = 0x5be0cd19;
  for (let r = 0; r < rounds; r++) {
    const block: usize = DATA + (<usize>r % 1024) * 64;
    for (let i = 0; i < 16; i++) store<u32>(W + 4 * i, bswap<u32>(load<u32>(block + 4 * i)));
    for (let i = 16; i < 64; i++) {
      const a = load<u32>(W + 4 * (i - 15)), b = load<u32>(W + 4 * (i - 2));
      const s0 = rotr<u32>(a, 7) ^ rotr<u32>(a, 18) ^ (a >> 3), s1 = rotr<u32>(b, 17) ^ rotr<u32>(b, 19) ^ (b >> 10);
      store<u32>(W + 4 * i, load<u32>(W + 4 * (i - 16)) + s0 + load<u32>(W + 4 * (i - 7)) + s1);
    }
    let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
    for (let i = 0; i < 64; i++) {
      const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u32>(K + 4 * i) + load<u32>(W + 4 * i);
      const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
    }
    h0 += a; h1 += b; h2 += c; h3 += d; h4 += e; h5 += f; h6 += g; h7 += h;
  }
  return <i32>(h0 ^ h1 ^ h2 ^ h3 ^ h4 ^ h5 ^ h6 ^ h7);
}
