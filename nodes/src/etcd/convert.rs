//! Between the messages of the wire and the key-value store's own types.

use tonic::Status;

use super::api::etcdserverpb as wire;
use super::api::mvccpb;
use super::error::{status, unimplemented};
use crate::kv::api::{
    Compare, Consistency, DeleteRangeRequest, DeleteRangeResponse, Error, KeyValue, Op, OpResponse, Operand,
    Projection, PutRequest, PutResponse, RangeRequest, RangeResponse, Relation, SortOrder, SortTarget, Span,
    TxnRequest, TxnResponse,
};

pub(super) fn range(request: wire::RangeRequest) -> Result<RangeRequest, Status> {
    let filters =
        [request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision];
    if filters != [0; 4] {
        return Err(unimplemented("a read filtered by revision"));
    }
    let invalid_sort = || Status::invalid_argument("etcdserver: invalid sort option");
    let order = wire::range_request::SortOrder::try_from(request.sort_order).map_err(|_| invalid_sort())?;
    let target = wire::range_request::SortTarget::try_from(request.sort_target).map_err(|_| invalid_sort())?;
    Ok(RangeRequest {
        span: Span::from_wire(request.key, request.range_end),
        limit: request.limit,
        revision: request.revision,
        consistency: if request.serializable { Consistency::Serializable } else { Consistency::Linearizable },
        projection: match (request.count_only, request.keys_only) {
            (true, _) => Projection::CountOnly,
            (false, true) => Projection::KeysOnly,
            (false, false) => Projection::Full,
        },
        order: match order {
            wire::range_request::SortOrder::None => SortOrder::None,
            wire::range_request::SortOrder::Ascend => SortOrder::Ascend,
            wire::range_request::SortOrder::Descend => SortOrder::Descend,
        },
        target: match target {
            wire::range_request::SortTarget::Key => SortTarget::Key,
            wire::range_request::SortTarget::Version => SortTarget::Version,
            wire::range_request::SortTarget::Create => SortTarget::Create,
            wire::range_request::SortTarget::Mod => SortTarget::Mod,
            wire::range_request::SortTarget::Value => SortTarget::Value,
        },
    })
}

pub(super) fn put(request: wire::PutRequest) -> PutRequest {
    PutRequest {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

pub(super) fn delete_range(request: wire::DeleteRangeRequest) -> DeleteRangeRequest {
    DeleteRangeRequest { span: Span::from_wire(request.key, request.range_end), prev_kv: request.prev_kv }
}

pub(super) fn txn(request: wire::TxnRequest) -> Result<TxnRequest, Status> {
    Ok(TxnRequest {
        compare: request.compare.into_iter().map(compare).collect::<Result<_, _>>()?,
        success: request.success.into_iter().map(op).collect::<Result<_, _>>()?,
        failure: request.failure.into_iter().map(op).collect::<Result<_, _>>()?,
    })
}

fn op(op: wire::RequestOp) -> Result<Op, Status> {
    use wire::request_op::Request;
    Ok(match op.request {
        Some(Request::RequestRange(request)) => Op::Range(range(request)?),
        Some(Request::RequestPut(request)) => Op::Put(put(request)),
        Some(Request::RequestDeleteRange(request)) => Op::DeleteRange(delete_range(request)),
        Some(Request::RequestTxn(request)) => Op::Txn(txn(request)?),
        // What etcd says to an operation that is none.
        None => return Err(status(Error::KeyNotFound)),
    })
}

fn compare(compare: wire::Compare) -> Result<Compare, Status> {
    use wire::compare::{CompareResult, CompareTarget, TargetUnion};
    let strange = |_| Status::invalid_argument("etcdserver: a comparison of an unknown kind");
    let relation = match CompareResult::try_from(compare.result).map_err(strange)? {
        CompareResult::Equal => Relation::Equal,
        CompareResult::Greater => Relation::Greater,
        CompareResult::Less => Relation::Less,
        CompareResult::NotEqual => Relation::NotEqual,
    };
    // A value that is missing, or is of another target, counts as zero.
    let operand = match (CompareTarget::try_from(compare.target).map_err(strange)?, compare.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(version))) => Operand::Version(version),
        (CompareTarget::Version, _) => Operand::Version(0),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(revision))) => Operand::Create(revision),
        (CompareTarget::Create, _) => Operand::Create(0),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(revision))) => Operand::Mod(revision),
        (CompareTarget::Mod, _) => Operand::Mod(0),
        (CompareTarget::Value, Some(TargetUnion::Value(value))) => Operand::Value(value),
        (CompareTarget::Value, _) => Operand::Value(bytes::Bytes::new()),
        (CompareTarget::Lease, Some(TargetUnion::Lease(lease))) => Operand::Lease(lease),
        (CompareTarget::Lease, _) => Operand::Lease(0),
    };
    Ok(Compare { span: Span::from_wire(compare.key, compare.range_end), relation, operand })
}

pub(super) fn range_response(header: wire::ResponseHeader, response: RangeResponse) -> wire::RangeResponse {
    wire::RangeResponse {
        header: Some(header),
        kvs: response.kvs.into_iter().map(key_value).collect(),
        more: response.more,
        count: response.count,
    }
}

pub(super) fn put_response(header: wire::ResponseHeader, response: PutResponse) -> wire::PutResponse {
    wire::PutResponse { header: Some(header), prev_kv: response.prev_kv.map(key_value) }
}

pub(super) fn delete_range_response(
    header: wire::ResponseHeader,
    response: DeleteRangeResponse,
) -> wire::DeleteRangeResponse {
    wire::DeleteRangeResponse {
        header: Some(header),
        deleted: response.deleted,
        prev_kvs: response.prev_kvs.into_iter().map(key_value).collect(),
    }
}

pub(super) fn txn_response(header: wire::ResponseHeader, response: TxnResponse) -> wire::TxnResponse {
    use wire::response_op::Response;
    // The headers inside carry only the revision.
    let inner = wire::ResponseHeader { revision: header.revision, ..wire::ResponseHeader::default() };
    let responses = response.responses.into_iter().map(|response| {
        let response = match response {
            OpResponse::Range(response) => Response::ResponseRange(range_response(inner, response)),
            OpResponse::Put(response) => Response::ResponsePut(put_response(inner, response)),
            OpResponse::DeleteRange(response) => Response::ResponseDeleteRange(delete_range_response(inner, response)),
            OpResponse::Txn(response) => Response::ResponseTxn(txn_response(inner, response)),
        };
        wire::ResponseOp { response: Some(response) }
    });
    wire::TxnResponse { header: Some(header), succeeded: response.succeeded, responses: responses.collect() }
}

fn key_value(kv: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value,
        lease: kv.lease,
    }
}
