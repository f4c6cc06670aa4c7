/// Keeps a note of every call by number, so that a test can tell a call that was lost from one that ran twice.
/// `relay` does the same across two canisters, first there, then here, and sends cycles along.
import Blob "mo:core/Blob";
import Cycles "mo:core/Cycles";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat8 "mo:core/Nat8";
import Principal "mo:core/Principal";
import VarArray "mo:core/VarArray";

persistent actor class Recorder() {
  type Peer = actor { record : shared (Nat, Nat) -> async Nat };

  /// By client: how often each number came.
  let counts = Map.empty<Nat, List.List<Nat8>>();
  var total : Nat = 0;
  var ballast : [var Nat] = [var];

  func note(client : Nat, number : Nat) : Nat {
    let list = switch (Map.get(counts, Nat.compare, client)) {
      case (?known) known;
      case null {
        let fresh = List.empty<Nat8>();
        Map.add(counts, Nat.compare, client, fresh);
        fresh
      };
    };
    while (List.size(list) <= number) List.add(list, 0 : Nat8);
    List.put(list, number, Nat8.fromNat(Nat8.toNat(List.at(list, number)) + 1));
    total += 1;
    total
  };

  public func record(client : Nat, number : Nat) : async Nat {
    ignore Cycles.accept<system>(Cycles.available() / 2);
    note(client, number)
  };

  public func relay(peer : Principal, client : Nat, number : Nat) : async Nat {
    let there = await (with cycles = 2_000_000) (actor (Principal.toText(peer)) : Peer).record(client, number);
    ignore note(client, number);
    there
  };

  public query func countsOf(client : Nat) : async Blob {
    switch (Map.get(counts, Nat.compare, client)) {
      case (?list) Blob.fromArray(List.toArray(list));
      case null "";
    }
  };

  public query func balance() : async Nat { Cycles.balance() };

  public query func totalCount() : async Nat { total };

  /// Takes up memory: words of eight bytes each, all different.
  public func fill(words : Nat) : async Nat {
    ballast := VarArray.tabulate<Nat>(words, func i = i * 2_654_435_761 % 4_611_686_018_427_387_903);
    ballast.size()
  };

  /// A sum over the ballast: changes if one bit of it does.
  public query func checksum() : async Nat {
    var sum = 0;
    var i = 0;
    for (word in ballast.vals()) {
      i += 1;
      sum := (sum + word * i) % 2_305_843_009_213_693_951;
    };
    sum
  };
};
