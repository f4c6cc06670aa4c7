// Copy: byte loops, word loops and memory.copy over 64 KiB.
const FROM: usize = 65536;
const TO: usize = 3 * 65536;

export function setup(): void { for (let i = 0; i < 65536; i++) store<u8>(FROM + i, <u8>(i * 31)); }

export function run(rounds: i32): i32 {
  let sum = 0;
  for (let r = 0; r < rounds; r++) {
    for (let i = 0; i < 65536; i++) store<u8>(TO + i, load<u8>(FROM + i) ^ <u8>r);
    for (let i = 0; i < 65536; i += 8) store<u64>(FROM + i, load<u64>(TO + i));
    for (let i = 0; i < 65536; i += 256) memory.copy(TO + i, FROM + 65280 - i, 256);
    sum += load<u8>(TO + (r & 65535));
  }
  return sum;
}
