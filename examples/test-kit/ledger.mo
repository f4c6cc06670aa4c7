/// Keeps everybody's money, in cents. The shop may take what a customer owes it; it lives on another subnet.
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";

persistent actor {
  let balances = Map.empty<Principal, Nat>();

  func of(owner : Principal) : Nat {
    switch (Map.get(balances, Principal.compare, owner)) { case (?cents) cents; case null 0 }
  };

  public query func balance(owner : Principal) : async Nat { of(owner) };

  public func deposit(to : Principal, cents : Nat) : async () {
    Map.add(balances, Principal.compare, to, of(to) + cents)
  };

  public func take(from : Principal, cents : Nat) : async () {
    let has = of(from);
    if (has < cents) Runtime.trap("only " # Nat.toText(has) # " cents are left");
    Map.add(balances, Principal.compare, from, has - cents : Nat)
  };
}
