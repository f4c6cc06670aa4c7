// Sort: quicksort of 100,000 pseudo-random integers.
const DATA: usize = 65536;
const COUNT = 100000;

export function setup(): void {}

function sort(low: i32, high: i32): void {
  while (low < high) {
    const pivot = load<i32>(DATA + 4 * ((low + high) >> 1));
    let i = low, j = high;
    while (i <= j) {
      while (load<i32>(DATA + 4 * i) < pivot) i++;
      while (load<i32>(DATA + 4 * j) > pivot) j--;
      if (i <= j) {
        const swap = load<i32>(DATA + 4 * i);
        store<i32>(DATA + 4 * i, load<i32>(DATA + 4 * j));
        store<i32>(DATA + 4 * j, swap);
        i++; j--;
      }
    }
    if (j - low < high - i) { sort(low, j); low = i; } else { sort(i, high); high = j; }
  }
}

export function run(rounds: i32): i32 {
  let sum = 0;
  for (let r = 0; r < rounds; r++) {
    let x: u32 = 12345 + r;
    for (let i = 0; i < COUNT; i++) {
      x ^= x << 13; x ^= x >> 17; x ^= x << 5;
      store<u32>(DATA + 4 * i, x);
    }
    sort(0, COUNT - 1);
    sum += load<i32>(DATA + 4 * (COUNT / 2));
  }
  return sum;
}
