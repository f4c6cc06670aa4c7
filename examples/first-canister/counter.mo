/// Counts. Its variable survives upgrades and restarts: there is nothing to save.
persistent actor {
  var count : Nat = 0;

  public func increment() : async Nat {
    count += 1;
    count
  };

  public query func get() : async Nat { count };
}
