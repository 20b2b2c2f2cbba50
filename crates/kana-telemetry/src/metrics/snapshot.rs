/// What is known only when the metrics are read.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Bytes of request bodies in memory.
    pub body_bytes_held: u64,
    /// The most bytes of request bodies in memory.
    pub body_bytes_max: u64,
    /// How much waits in each lane of the writer.
    pub lanes: Vec<u64>,
    /// How much may wait in each lane.
    pub lane_max: u64,
}
