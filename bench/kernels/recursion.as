// Recursion: Fibonacci the slow way.
export function setup(): void {}

function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

export function run(rounds: i32): i32 {
  let sum = 0;
  for (let r = 0; r < rounds; r++) sum += fib(25 + (r & 1));
  return sum;
}
