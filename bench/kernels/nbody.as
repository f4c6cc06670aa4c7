// Floats: five bodies and gravity, all in memory.
const BODIES = 5;
const AT: usize = 65536;

function get(body: i32, field: i32): f64 { return load<f64>(AT + 8 * (body * 8 + field)); }
function set(body: i32, field: i32, value: f64): void { store<f64>(AT + 8 * (body * 8 + field), value); }

export function setup(): void {
  for (let b = 0; b < BODIES; b++) {
    for (let f = 0; f < 6; f++) set(b, f, <f64>((b * 7 + f * 13) % 11) * 0.37 + 0.1);
    set(b, 6, 1.0 + <f64>b * 0.2);
  }
}

export function run(rounds: i32): i32 {
  for (let r = 0; r < rounds * 100; r++) {
    for (let i = 0; i < BODIES; i++) {
      for (let j = i + 1; j < BODIES; j++) {
        const dx = get(i, 0) - get(j, 0), dy = get(i, 1) - get(j, 1), dz = get(i, 2) - get(j, 2);
        const square = dx * dx + dy * dy + dz * dz + 0.01;
        const force = 0.0001 / (square * sqrt(square));
        const mi = get(i, 6) * force, mj = get(j, 6) * force;
        set(i, 3, get(i, 3) - dx * mj); set(i, 4, get(i, 4) - dy * mj); set(i, 5, get(i, 5) - dz * mj);
        set(j, 3, get(j, 3) + dx * mi); set(j, 4, get(j, 4) + dy * mi); set(j, 5, get(j, 5) + dz * mi);
      }
    }
    for (let i = 0; i < BODIES; i++) for (let f = 0; f < 3; f++) set(i, f, get(i, f) + 0.001 * get(i, f + 3));
  }
  return <i32>(get(0, 0) * 1000.0);
}
