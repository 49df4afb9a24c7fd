import TelemetryModel

/// What is said to the models and by them, in the form of OpenTelemetry GenAI's `gen_ai.input.messages`; nothing is left to chance, so
/// that counts stay what they are.
enum DemoTalk {
    /// What an agent says about itself, what it is asked, and what it answers.
    struct Turn {
        var system: String?
        var user: String
        var assistant: String
    }

    private static let cities = ["Lisbon", "Kyoto", "Reykjavik", "Porto", "Montreal", "Ljubljana"]
    private static let tickets: [(message: String, kind: String, answer: String)] = [
        (
            "I was charged twice for order 4471.", "billing",
            "I am sorry about that. The second charge for order 4471 is being refunded; it takes three to five days."
        ),
        (
            "The export ends with an error since this morning.", "technical",
            "Thank you for the report. Exports failed between 7 and 9 o'clock; please try again, it works since then."
        ),
        (
            "How do I move my account to another team?", "account",
            "Open Settings, Team, and choose Transfer. An owner of the other team has to accept."
        ),
        (
            "My invoice has the wrong address.", "billing",
            "You can change the address under Billing; the invoice is then made out anew and sent to you."
        ),
    ]

    /// The turn of a step; `nil` where no model speaks.
    static func turn(workflow: String, step: String, trace: TraceID) -> Turn? {
        let pick = { (count: Int) in Int(trace.low % UInt64(count)) }
        switch (workflow, step) {
        case ("trip_planner", "01-plan"):
            let city = cities[pick(cities.count)]
            return Turn(
                system: "You plan trips. Look up weather and flights before you answer.",
                user: "I would like four days in \(city) next week.",
                assistant: "I will check the forecast for \(city) and the flights, then put a plan together.")
        case ("trip_planner", "05-compose"):
            let city = cities[pick(cities.count)]
            return Turn(
                user: "I would like four days in \(city) next week.",
                assistant: """
                    Four days in \(city):
                    1. Arrive before noon, old town on foot, dinner by the water.
                    2. Museums in the morning; the market is open until four.
                    3. A day trip by train; the forecast is best on this day.
                    4. A late breakfast, then the flight at 15:40.
                    """)
        case ("support_triage", "01-classify"):
            let ticket = tickets[pick(tickets.count)]
            return Turn(
                system: "Answer with one word: billing, technical or account.", user: ticket.message, assistant: ticket.kind)
        case ("support_triage", "04-draft"):
            let ticket = tickets[pick(tickets.count)]
            return Turn(user: ticket.message, assistant: ticket.answer)
        case ("nightly_report", _) where step.hasPrefix("03-section"):
            return Turn(
                user: "Write section \(step.suffix(1)) of the nightly report from the figures above.",
                assistant:
                    "Traffic was within a tenth of last week's. Two tools were slower than usual; none of them for more than five minutes."
            )
        default: return nil
        }
    }

    /// The attributes of a model's span.
    static func attributes(_ turn: Turn) -> [(String, AttributeValue)] {
        var input: [JSONValue] = []
        if let system = turn.system { input.append(message("system", system)) }
        input.append(message("user", turn.user))
        return [
            ("gen_ai.input.messages", .string(JSONValue.array(input).line)),
            ("gen_ai.output.messages", .string(JSONValue.array([message("assistant", turn.assistant)]).line)),
        ]
    }

    private static func message(_ role: String, _ text: String) -> JSONValue {
        ["role": .string(role), "parts": [["type": "text", "content": .string(text)]]]
    }

    /// How an evaluator judged the answer of a run, as an event on its root: lower when something failed on the way.
    static func judgement(trace: TraceID, failures: Int, timeUnixNano: Int64) -> SpanDescription.Event {
        let score = max(0.05, 0.99 - Double(trace.low % 23) / 100 - 0.14 * Double(failures))
        let rounded = (score * 100).rounded() / 100
        return SpanDescription.Event(
            "gen_ai.evaluation.result", timeUnixNano: timeUnixNano,
            attributes: [
                "gen_ai.evaluation.name": "faithfulness", "gen_ai.evaluation.score.value": .double(rounded),
                "gen_ai.evaluation.score.label": rounded >= 0.7 ? "pass" : "fail",
            ])
    }
}
