// Matrix: product of two 160 x 160 matrices of f64.
const N = 160;
const A: usize = 65536;
const B: usize = A + N * N * 8;
const C: usize = B + N * N * 8;

export function setup(): void {
  for (let i = 0; i < N * N; i++) {
    store<f64>(A + 8 * i, <f64>i * 0.5);
    store<f64>(B + 8 * i, <f64>(N * N - i) * 0.25);
  }
}

export function run(rounds: i32): i32 {
  for (let r = 0; r < rounds; r++) {
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < N; j++) {
        let sum: f64 = 0;
        for (let k = 0; k < N; k++) sum += load<f64>(A + 8 * (i * N + k)) * load<f64>(B + 8 * (k * N + j));
        store<f64>(C + 8 * (i * N + j), sum);
      }
    }
  }
  return <i32>(load<f64>(C + 8 * 77) % 1000000.0);
}
