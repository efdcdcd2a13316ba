//! All that lies in a lake, whoever put it there.

use super::{LakeError, ObjectInfo};
use crate::object_name::ObjectName;

/// Something that lies in a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something under a name that objects of some hash have.
    Object(ObjectName, ObjectInfo),
    /// Something else; what the lake keeps for itself (its declaration, what was replaced) is not among it.
    Foreign(ObjectInfo),
}

/// What lies in a lake in no particular order, read as it is advanced.
pub type Survey = Box<dyn Iterator<Item = Result<Found, LakeError>> + Send>;
