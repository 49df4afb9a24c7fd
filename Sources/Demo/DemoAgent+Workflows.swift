import TelemetryModel

/// The three workflows, step by step.
extension DemoAgent {
    private static let crm = HTTPTool(
        name: "crm_lookup", url: "https://crm.example/v2/customers", milliseconds: 60...700, timeouts: 45, attemptsMax: 2)
    private static let mailer = HTTPTool(
        name: "ticket_update", method: "POST", url: "https://desk.example/v1/tickets", milliseconds: 40...350, errors: 20)
    private static let weather = HTTPTool(
        name: "weather_api", url: "https://weather.example/v1/forecast", milliseconds: 120...1_800, attemptsMax: 3,
        mark: .attempt)
    private static let flights = HTTPTool(
        name: "flight_search", method: "POST", url: "https://flights.example/v3/offers", milliseconds: 350...4_500, errors: 280,
        attemptsMax: 3, mark: .resend)
    private static let upload = HTTPTool(
        name: "report_upload", method: "PUT", url: "https://files.example/reports", milliseconds: 200...1_500, errors: 60,
        attemptsMax: 2, mark: .resend)

    mutating func supportTriage(_ run: inout Run) {
        step("01-classify", &run) { agent, run, place in
            agent.chat("gpt-4o-mini", provider: "openai", input: 300...900, output: 12...40, &run, place)
        }
        step("02-retrieve", &run) { agent, run, place in
            agent.retrieve("tickets", batch: 8, &run, place)
        }
        step("03-customer", &run) { agent, run, place in
            agent.http(Self.crm, &run, place)
        }
        step("04-draft", &run) { agent, run, place in
            _ = agent.retrieve("policies", batch: 16, &run, place)
            let failure = agent.chat(
                "claude-sonnet-4-5", provider: "anthropic", input: 1_800...5_200, output: 150...480, &run, place)
            run.failure = failure
            return failure
        }
        guard run.failure == nil else { return }
        step("05-update", &run) { agent, run, place in
            agent.http(Self.mailer, &run, place)
        }
    }

    mutating func tripPlanner(_ run: inout Run) {
        step("01-plan", &run) { agent, run, place in
            agent.chat("gpt-4o-mini", provider: "openai", input: 500...1_400, output: 80...200, &run, place)
        }
        // Without a forecast the plan is poorer, but it is one.
        step("02-weather", &run) { agent, run, place in
            agent.http(Self.weather, &run, place)
        }
        step("03-flights", &run) { agent, run, place in
            let failure = agent.http(Self.flights, &run, place)
            run.failure = failure
            return failure
        }
        step("04-guides", &run) { agent, run, place in
            agent.retrieve("travel_guides", batch: 12, &run, place)
        }
        guard run.failure == nil else { return }
        step("05-compose", &run) { agent, run, place in
            agent.chat("gpt-4o", provider: "openai", input: 2_500...7_000, output: 200...500, &run, place)
        }
    }

    mutating func nightlyReport(_ run: inout Run) {
        step("01-collect", &run) { agent, run, place in
            agent.retrieve("events", batch: 64, &run, place)
        }
        step("02-crunch", &run) { agent, run, place in
            let failure = agent.program("run_python", "python3 crunch.py", &run, place)
            run.failure = failure
            return failure
        }
        for section in 1...3 where run.failure == nil {
            step("03-section-\(section)", &run) { agent, run, place in
                _ = agent.retrieve("metrics", batch: 32, &run, place)
                return agent.chat("claude-haiku-4-5", provider: "anthropic", input: 1_200...3_000, output: 120...300, &run, place)
            }
        }
        guard run.failure == nil else { return }
        step("04-publish", &run) { agent, run, place in
            let failure = agent.http(Self.upload, &run, place)
            run.failure = failure
            return failure
        }
    }
}
