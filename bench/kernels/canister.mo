import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Text "mo:core/Text";

persistent actor {
  let names = Map.empty<Nat, Text>();
  var sum : Nat32 = 0;

  // A mix of what canisters do: maps of text, bit arithmetic, allocation.
  public func work() : async () {
    var i = 0;
    while (i < 2_000) {
      let key = (i * 7919) % 4_001;
      Map.add(names, Nat.compare, key, "name " # Nat.toText(key));
      switch (Map.get(names, Nat.compare, (key * 31) % 4_001)) {
        case (?name) { for (c in name.chars()) { sum := (sum <<> 5) ^ 77; ignore c } };
        case null { sum +%= 1 };
      };
      i += 1;
    };
  };
};
