import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Float "mo:core/Float";
persistent actor {
  var total = 0;
  let seen = Map.empty<Nat, Text>();
  public func work() : async () {
    var i = 0;
    while (i < 200) {
      total += i;
      Map.add(seen, Nat.compare, total % 97, Nat.toText(total) # Float.toText(Float.sqrt(Float.fromInt(i) - 100)));
      i += 1;
    };
  };
  public query func get() : async Nat { total };
}
