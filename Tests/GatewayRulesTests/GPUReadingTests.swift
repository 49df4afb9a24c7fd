import GatewayRules
import Testing

struct GPUReadingTests {
    @Test func whatNvidiaSmiTellsIsReadInBytesAndWhatItDoesNotKnowIsLeftOut() {
        let text =
            "0, 34, 1024, 24576\n1, [N/A], [Not Supported], 81559\r\nNo devices were found\n2, 101, -1, 9223372036854775807\n"
        #expect(
            GPUReading.devices(nvidia: text) == [
                .init(name: "0", utilizationRatio: 0.34, usedBytes: 1024 << 20, totalBytes: 24576 << 20),
                .init(name: "1", totalBytes: 81559 << 20), .init(name: "2"),
            ])
        #expect(GPUReading.devices(nvidia: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") == [])
    }

    @Test func whatProcessesHaveIsReadByTheirPids() {
        let text = "4711, 512\n4711, 100\n12, [Insufficient Permissions]\n-1, 3\n99999999999, 3\nx, 1\n"
        #expect(GPUReading.uses(nvidia: text) == [.init(pid: 4711, bytes: 512 << 20), .init(pid: 4711, bytes: 100 << 20)])
    }

    @Test func aCardOfAmdgpuIsReadFromItsFilesAndOneThatTellsNothingIsNone() {
        let device = GPUReading.device(amd: "card0", busyPercent: "7\n", usedBytes: "1073741824\n", totalBytes: "17163091968\n")
        #expect(device == .init(name: "card0", utilizationRatio: 0.07, usedBytes: 1 << 30, totalBytes: 17_163_091_968))
        #expect(GPUReading.device(amd: "card1", busyPercent: "", usedBytes: "", totalBytes: "x") == nil)
    }

    @Test func noTextStopsItAndNoneMakesMoreDevicesThanThereCanBe() {
        var luck = Luck(1)
        let words = ["0", "1", ",", ", ", "\n", "[N/A]", "-", "99999999999999999999", "é", "\r\n"]
        for _ in 0..<2_000 {
            let text = (0..<40).map { _ in words.randomElement(using: &luck) ?? "" }.joined()
            #expect(GPUReading.devices(nvidia: text).allSatisfy { ($0.utilizationRatio ?? 0) <= 1 && ($0.usedBytes ?? 0) >= 0 })
            #expect(GPUReading.uses(nvidia: text).allSatisfy { $0.bytes >= 0 })
        }
        #expect(GPUReading.devices(nvidia: String(repeating: "0, 1, 2, 3\n", count: 1_000)).count == 64)
    }
}
