/// Sells tickets: a few each day, at a price that the web tells, paid through the ledger on another subnet.
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Text "mo:core/Text";
import Nat "mo:core/Nat";
import Timer "mo:core/Timer";

persistent actor class Shop(bank : Principal) {
  type Ledger = actor {
    take : (from : Principal, cents : Nat) -> async ();
    deposit : (to : Principal, cents : Nat) -> async ();
  };
  type Response = { status : Nat; headers : [{ name : Text; value : Text }]; body : Blob };
  type TransformArgs = { response : Response; context : Blob };
  type Web = actor {
    http_request : {
      url : Text;
      method : { #get };
      headers : [{ name : Text; value : Text }];
      body : ?Blob;
      max_response_bytes : ?Nat64;
      transform : ?{ function : shared query TransformArgs -> async Response; context : Blob };
    } -> async Response;
  };

  let ledger = actor (Principal.toText(bank)) : Ledger;
  transient let web : Web = actor "aaaaa-aa";
  var tickets = 1;
  var cents = 2_000;

  public query func left() : async Nat { tickets };

  public shared ({ caller }) func buy() : async { #sold; #soldOut } {
    if (tickets == 0) return #soldOut;
    let price = cents;
    await ledger.take(caller, price);
    // While the ledger was at work somebody else may have bought the last ticket.
    if (tickets == 0) {
      await ledger.deposit(caller, price);
      return #soldOut
    };
    tickets -= 1;
    #sold
  };

  /// Each node gets its own answer, with another date: only the body is what they have to agree on.
  public query func bodyOnly({ response } : TransformArgs) : async Response { { response with headers = [] } };

  public func updatePrice() : async Nat {
    let { body } = await (with cycles = 100_000_000_000) web.http_request({
      url = "https://tickets.example/price";
      method = #get;
      headers = [];
      body = null;
      max_response_bytes = ?1_000;
      transform = ?{ function = bodyOnly; context = "" };
    });
    let ?text = Text.decodeUtf8(body) else Runtime.trap("the price is no text");
    let ?price = Nat.fromText(text) else Runtime.trap("\"" # text # "\" is no price");
    cents := price;
    price
  };

  ignore Timer.recurringTimer<system>(#days 1, func() : async () { tickets := 3 });
}
