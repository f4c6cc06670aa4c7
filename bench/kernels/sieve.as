// Bytes: the sieve of Eratosthenes up to 500,000.
const LIMIT = 500000;
const AT: usize = 65536;

export function setup(): void {}

export function run(rounds: i32): i32 {
  let count = 0;
  for (let r = 0; r < rounds; r++) {
    memory.fill(AT, 1, LIMIT);
    count = 0;
    for (let i = 2; i < LIMIT; i++) {
      if (load<u8>(AT + i) == 0) continue;
      count++;
      for (let j = i * 2; j < LIMIT; j += i) store<u8>(AT + j, 0);
    }
  }
  return count;
}
